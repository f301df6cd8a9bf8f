"""The only wiring of this service."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI

from saras_common.auth import InternalTokens
from saras_common.bus import connect_bus
from saras_common.clock import Clock, SystemClock
from saras_common.consumer import Consumer
from saras_common.db import Database
from saras_common.ids import NewId, new_id
from saras_common.metrics import Metrics
from saras_common.outbox import Outbox, Relay
from saras_common.web import Loop, Worker, create_service_app, workers_of
from smallcase_service import consumer, tasks
from smallcase_service.api import routers
from smallcase_service.book import Book, HttpTransport, Transport
from smallcase_service.settings import Settings
from smallcase_service.usecases.context import Context

PATIENCE_S = 5.0
"""How far runs may fall behind a burst of the book."""


def wire(settings: Settings, *, clock: Clock, new_id: NewId = new_id, transport: Transport | None = None) -> Context:
    """The tools every use case works with. Nothing connects yet. ``transport``: a way to the book other than HTTP."""
    tokens = InternalTokens(settings.internal_token_key.get_secret_value().encode(), clock)
    return Context(
        database=Database(settings.database_url.get_secret_value(), schema=settings.schema_name),
        outbox=Outbox(settings.schema_name),
        book=Book(transport or HttpTransport(settings.portfolio_service_url), tokens, clock),
        clock=clock,
        new_id=new_id,
        limits=settings.limits(),
        band_percent=settings.protection_percent,
        cooldown_days=settings.cooldown_days,
    )


def create_app(
    settings: Settings,
    *,
    clock: Clock | None = None,
    new_id: NewId = new_id,
    metrics: Metrics | None = None,
    transport: Transport | None = None,
) -> FastAPI:
    """The service's application. Time, ids, metrics and the way to the book can be given."""
    clock = clock or SystemClock()
    context = wire(settings, clock=clock, new_id=new_id, transport=transport)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await context.book.transport.start()
        yield
        context.book.transport.close()
        context.database.dispose()

    app = create_service_app(
        settings,
        title="smallcase-service",
        internal_tokens=InternalTokens(settings.internal_token_key.get_secret_value().encode(), clock),
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
    transport: Transport | None = None,
) -> list[Worker]:
    """The loops beside the API: two consumers, the relay, the runs, the watch, the upkeep."""
    metrics = metrics or Metrics()
    context = wire(settings, clock=clock or SystemClock(), new_id=new_id, transport=transport)
    bus = connect_bus(settings.broker_url.get_secret_value())
    orders = Consumer(
        bus,
        "smallcase-service",
        context.database,
        consumer.orders_handler(),
        patience_s=PATIENCE_S,
        metrics=metrics,
    )
    market = Consumer(bus, "smallcase-service.market", context.database, consumer.market_handler(), metrics=metrics)
    relay = Relay(context.database, bus, settings.schema_name, metrics=metrics)
    loops: dict[str, Loop] = {
        "consumer": orders.run,
        "market": market.run,
        "relay": relay.run,
        "runs": partial(tasks.run_runs, context, settings.runs_every_s),
        "watch": partial(tasks.run_watch, context, settings.watch_every_s),
        "upkeep": partial(tasks.run_upkeep, context, (orders.inbox, market.inbox)),
    }
    return workers_of("smallcase-service", loops, (bus.close, context.book.transport.close, context.database.dispose))
