"""The only wiring of this service."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

from fastapi import FastAPI

from portfolio_service import consumer, tasks
from portfolio_service.api import entry
from portfolio_service.api.door import EntryDoor
from portfolio_service.api.routers import routers
from portfolio_service.domain.requests import EntryRequest, Outcome
from portfolio_service.domain.views import OrderView
from portfolio_service.entry import OrderEntry, Place
from portfolio_service.settings import Settings
from portfolio_service.store import market, outbox
from portfolio_service.store.arrays import FOR_GROWTH
from portfolio_service.store.postings import find_owners
from portfolio_service.telemetry import BookMetrics
from portfolio_service.usecases.context import Context
from portfolio_service.usecases.entry import place_orders
from saras_common.auth import InternalTokens
from saras_common.bus import connect_bus
from saras_common.clock import Clock, SystemClock
from saras_common.consumer import Consumer
from saras_common.db import Database, retrying
from saras_common.errors import Unavailable
from saras_common.ids import NewId, new_id
from saras_common.metrics import Metrics
from saras_common.outbox import Relay
from saras_common.partitions import PartitionedConsumer
from saras_common.tracing import connect_traces
from saras_common.web import Loop, Worker, create_service_app, workers_of

BOOK_BATCH = 32

ENTRY_STATEMENT_MS = 8_000
"""An order that the database does not take by then is answered 503, and may be sent again with its key."""

IDLE_IN_TRANSACTION_S = 10.0
"""A connection that broke in the middle of a transaction keeps no balance locked for longer."""

TRANSACTION_S = 30.0
"""Nor does one that broke in the middle of a pipeline."""


def wire(settings: Settings, *, clock: Clock, new_id: NewId = new_id) -> Context:
    """The tools every use case works with. Nothing connects yet."""
    database = Database(
        settings.database_url.get_secret_value(),
        schema=settings.schema_name,
        pool_size=settings.pool_size,
        idle_in_transaction_s=IDLE_IN_TRANSACTION_S,
        transaction_s=TRANSACTION_S,
    )
    entry = Database(
        settings.database_url.get_secret_value(),
        schema=settings.schema_name,
        pool_size=settings.entry_flushers,
        statement_timeout_ms=ENTRY_STATEMENT_MS,
        idle_in_transaction_s=IDLE_IN_TRANSACTION_S,
        transaction_s=TRANSACTION_S,
        planner=FOR_GROWTH,
    )
    return Context(
        database=database,
        entry=entry,
        clock=clock,
        new_id=new_id,
        rules=settings.rules(),
        is_sandbox=settings.mode == "sandbox",
        check_room=OutboxRoom(database, clock, settings.outbox_limit).check,
    )


class OutboxRoom:
    """Refuses new orders while too many events wait for the bus; looks once a second."""

    def __init__(self, database: Database, clock: Clock, limit: int) -> None:
        self._database = database
        self._clock = clock
        self._limit = limit
        self._looked_at = float("-inf")
        self._is_full = False

    def check(self) -> None:
        """`Unavailable` while the outbox is over its limit."""
        if self._clock.monotonic() - self._looked_at >= 1.0:
            self._looked_at = self._clock.monotonic()
            with self._database.for_service() as session:
                self._is_full = outbox.waiting(session) > self._limit
        if self._is_full:
            raise Unavailable("Too much is waiting for the message bus", retry_after_s=2)


def placing(context: Context, metrics: BookMetrics) -> Place:
    """`place_orders` in a transaction that sees the rows of the requests' users alone."""

    def place(requests: Sequence[EntryRequest]) -> list[Outcome]:
        context.check_room()
        outcomes = retrying(lambda: in_transaction(requests))
        metrics.count_accepted(
            sum(isinstance(item, OrderView) for outcome in outcomes if not outcome.replayed for item in outcome.items)
        )
        return outcomes

    def in_transaction(requests: Sequence[EntryRequest]) -> list[Outcome]:
        users = {request.user_id for request in requests}
        with context.entry.pipelined_for_users(*users) as session:
            return place_orders(session, requests, rules=context.rules, now=context.clock.now(), new_id=context.new_id)

    return place


class Prices:
    """Whether anything can be traded yet; asked for until it once can. Live mode starts before the broker's login."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._known = False

    def check(self) -> None:
        """Raise `Unavailable` until the first price arrived."""
        if not self._known:
            with self._context.database.for_service() as session:
                self._known = market.has_marks(session)
            if not self._known:
                raise Unavailable("No prices yet")


def create_app(
    settings: Settings, *, clock: Clock | None = None, new_id: NewId = new_id, metrics: Metrics | None = None
) -> FastAPI:
    """The service's application. Time, ids and metrics can be given, for tests and for one shared process."""
    clock, metrics = clock or SystemClock(), metrics or Metrics()
    context = wire(settings, clock=clock, new_id=new_id)
    traces = connect_traces(settings.service, settings.traces_endpoint, settings.traces_share)
    order_entry = OrderEntry(
        placing(context, BookMetrics(metrics)),
        flushers=settings.entry_flushers,
        group_orders=settings.entry_group_orders,
        waiting_orders=settings.entry_waiting_orders,
        metrics=metrics,
        traces=traces,
    )

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        order_entry.close()
        traces.close()
        context.database.dispose()
        context.entry.dispose()

    checks = {"database": context.database.check}
    if context.is_sandbox:
        checks["prices"] = Prices(context).check
    app = create_service_app(
        settings,
        title="portfolio-service",
        internal_tokens=InternalTokens(settings.internal_token_key.get_secret_value().encode(), clock),
        metrics=metrics,
        checks=checks,
        lifespan=lifespan,
    )
    app.state.context = context
    app.state.order_entry = order_entry
    for router in routers:
        app.include_router(router)
    app.middleware_stack = EntryDoor(app, entry.router, service=settings.service, metrics=metrics)
    return app


def workers(
    settings: Settings, *, clock: Clock | None = None, new_id: NewId = new_id, metrics: Metrics | None = None
) -> list[Worker]:
    """The loops beside the API: three consumers, the relay, the upkeep."""
    clock = clock or SystemClock()
    metrics = metrics or Metrics()
    book_metrics = BookMetrics(metrics)
    context = wire(settings, clock=clock, new_id=new_id)
    bus = connect_bus(settings.broker_url.get_secret_value())
    traces = connect_traces(settings.service, settings.traces_endpoint, settings.traces_share)

    def feed(source: str, batch: int) -> Consumer:
        partition = "" if source == settings.service else source
        handle = consumer.book_handler(clock, new_id, book_metrics, partition)
        return Consumer(
            bus,
            settings.service,
            context.database,
            handle,
            source=source,
            batch=batch,
            metrics=metrics,
            traces=traces,
        )

    book = PartitionedConsumer(
        bus,
        settings.service,
        context.database,
        feed,
        count=settings.partitions,
        batch=BOOK_BATCH,
        find_owners=find_owners,
    )
    handle = consumer.book_handler(clock, new_id, book_metrics)
    totals = Consumer(bus, "portfolio-service.totals", context.database, handle, metrics=metrics)
    market = Consumer(bus, "portfolio-service.market", context.database, consumer.market_handler(), metrics=metrics)
    relay = Relay(context.database, bus, settings.schema_name, metrics=metrics)
    upkeep = partial(
        tasks.run_upkeep,
        context,
        (book.inbox, totals.inbox, market.inbox),
        timedelta(hours=settings.idempotency_keep_hours),
        book_metrics,
    )
    loops: dict[str, Loop] = {
        "consumer": book.run,
        "totals": totals.run,
        "market": market.run,
        "relay": relay.run,
        "upkeep": upkeep,
    }
    return workers_of("portfolio-service", loops, (bus.close, traces.close, context.database.dispose))
