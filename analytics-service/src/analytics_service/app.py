"""The only wiring of this service."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI

from analytics_service import consumer, tasks
from analytics_service.api import routers
from analytics_service.book import Ask, Book, nowhere, over_http
from analytics_service.settings import Settings
from analytics_service.telemetry import ServiceMetrics
from analytics_service.usecases.context import Context, Rules
from saras_common.auth import InternalTokens
from saras_common.bus import connect_bus
from saras_common.clock import Clock, SystemClock
from saras_common.consumer import Consumer
from saras_common.db import Database
from saras_common.ids import NewId, new_id
from saras_common.metrics import Metrics
from saras_common.outbox import Outbox, Relay
from saras_common.partitions import PartitionedConsumer
from saras_common.web import Loop, Worker, create_service_app, workers_of

CONSUMER_BATCH = 32
PATIENCE_S = 15.0
"""How far the trade store may fall behind a burst of the book."""
LINGER_S = 0.5
"""A stream of fills is taken in few deliveries."""


def wire(settings: Settings, *, clock: Clock, new_id: NewId = new_id, ask_book: Ask | None = None) -> Context:
    """The tools every use case works with. Nothing connects yet; ``ask_book`` reaches a book in the same process."""
    if ask_book is None:
        url = settings.portfolio_service_url
        ask_book = nowhere if url is None else over_http(url)
    return Context(
        database=Database(
            settings.database_url.get_secret_value(), schema=settings.schema_name, pool_size=settings.pool_size
        ),
        outbox=Outbox(settings.schema_name),
        book=Book(ask_book, _tokens(settings, clock), clock),
        clock=clock,
        new_id=new_id,
        rules=Rules(
            price_band_percent=settings.price_band_percent,
            risk_free=float(settings.risk_free_percent) / 100,
            benchmark=settings.benchmark,
            snapshot_delay_s=settings.snapshot_delay_s,
            lease_s=settings.lease_s,
            chromium=settings.chromium or "",
            is_sandbox=settings.mode == "sandbox",
        ),
    )


def create_app(
    settings: Settings,
    *,
    clock: Clock | None = None,
    new_id: NewId = new_id,
    metrics: Metrics | None = None,
    ask_book: Ask | None = None,
) -> FastAPI:
    """The service's application. Time, ids, metrics and the way to the book can be given."""
    clock = clock or SystemClock()
    context = wire(settings, clock=clock, new_id=new_id, ask_book=ask_book)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        context.database.dispose()

    app = create_service_app(
        settings,
        title="analytics-service",
        internal_tokens=_tokens(settings, clock),
        metrics=metrics or Metrics(),
        checks={"database": context.database.check},
        lifespan=lifespan,
    )
    app.state.context = context
    for router in routers:
        app.include_router(router)
    return app


def workers(
    settings: Settings,
    *,
    clock: Clock | None = None,
    new_id: NewId = new_id,
    metrics: Metrics | None = None,
    ask_book: Ask | None = None,
) -> list[Worker]:
    """The loops beside the API: consumer, relay, upkeep."""
    clock, metrics = clock or SystemClock(), metrics or Metrics()
    service_metrics = ServiceMetrics(metrics)
    context = wire(settings, clock=clock, new_id=new_id, ask_book=ask_book)
    bus = connect_bus(settings.broker_url.get_secret_value())
    handle = consumer.handler(
        clock, new_id, context.outbox, band_percent=context.rules.price_band_percent, count=service_metrics.count_trades
    )

    def feed(source: str, batch: int) -> Consumer:
        return Consumer(
            bus,
            settings.service,
            context.database,
            handle,
            source=source,
            batch=batch,
            patience_s=PATIENCE_S,
            linger_s=LINGER_S,
            metrics=metrics,
        )

    consuming = PartitionedConsumer(
        bus, settings.service, context.database, feed, count=settings.partitions, batch=CONSUMER_BATCH
    )
    relay = Relay(context.database, bus, settings.schema_name, metrics=metrics)
    upkeep = partial(tasks.run_upkeep, context, consuming.inbox)
    loops: dict[str, Loop] = {"consumer": consuming.run, "relay": relay.run, "upkeep": upkeep}
    return workers_of(settings.service, loops, (bus.close, context.database.dispose))


def _tokens(settings: Settings, clock: Clock) -> InternalTokens:
    return InternalTokens(settings.internal_token_key.get_secret_value().encode(), clock)
