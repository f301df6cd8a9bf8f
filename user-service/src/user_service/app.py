"""The only wiring of this service."""

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from fastapi import FastAPI

from saras_common.auth import InternalTokens, TokenSigner
from saras_common.bus import connect_bus
from saras_common.clock import Clock, SystemClock
from saras_common.db import Database
from saras_common.ids import NewId, new_id
from saras_common.metrics import Metrics
from saras_common.outbox import Outbox, Relay
from saras_common.web import Worker, create_service_app
from user_service import tasks, usecases
from user_service.api import routers
from user_service.api.edge import Lane
from user_service.passwords import PasswordHasher, common_passwords
from user_service.settings import Settings
from user_service.usecases import Context, KeyRing
from user_service.usecases.context import Rules
from user_service.vault import Vault


@dataclass(frozen=True, slots=True)
class Wiring:
    """A context with what has to be closed after it."""

    context: Context
    key_ring: KeyRing
    close: Callable[[], None]


def wire(settings: Settings, *, clock: Clock, new_id: NewId = new_id, hasher: PasswordHasher | None = None) -> Wiring:
    """The tools every use case works with. Nothing connects yet."""
    database = Database(settings.database_url.get_secret_value(), schema=settings.schema_name)
    vault = Vault.from_text(settings.data_keys.get_secret_value())
    key_ring = KeyRing(database, vault, clock)
    context = Context(
        database=database,
        outbox=Outbox(settings.schema_name),
        hasher=hasher or PasswordHasher(),
        common_passwords=common_passwords(),
        vault=vault,
        signer=TokenSigner(key_ring.current, clock, new_id=new_id),
        rules=Rules(
            access_ttl_s=settings.access_ttl_s,
            session_ttl=timedelta(seconds=settings.session_ttl_s),
            signing_key_max_age=timedelta(days=settings.signing_key_max_age_days),
            account_burst=settings.login_account_burst,
            address_burst=settings.login_address_burst,
            global_burst=settings.login_global_burst,
            is_sandbox=settings.mode == "sandbox",
        ),
        clock=clock,
        new_id=new_id,
    )
    return Wiring(context, key_ring, database.dispose)


def create_app(
    settings: Settings,
    *,
    clock: Clock | None = None,
    new_id: NewId = new_id,
    metrics: Metrics | None = None,
    hasher: PasswordHasher | None = None,
) -> FastAPI:
    """The service's application. Time, ids, metrics and hashing can be given, for tests and for one shared process."""
    clock, metrics = clock or SystemClock(), metrics or Metrics()
    wiring = wire(settings, clock=clock, new_id=new_id, hasher=hasher)
    lane = Lane(settings.password_threads, settings.password_queue)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        lane.close()
        wiring.close()

    app = create_service_app(
        settings,
        title="user-service",
        internal_tokens=InternalTokens(settings.internal_token_key.get_secret_value().encode(), clock),
        metrics=metrics,
        checks={"database": wiring.context.database.check},
        lifespan=lifespan,
    )
    app.state.context = wiring.context
    app.state.key_ring = wiring.key_ring
    app.state.lane = lane
    app.state.logins = metrics.counter("saras_logins_total", "Sign-ins: ok, or why they were refused", ("outcome",))
    for router in routers:
        app.include_router(router)
    return app


def first_start(settings: Settings, *, clock: Clock | None = None) -> str | None:
    """Make what must exist before the first request: a signing key and an administrator.

    Gives the administrator's password when it was made up here, to be shown once. Safe to call at every start.
    """
    wiring = wire(settings, clock=clock or SystemClock())
    try:
        wiring.key_ring.current()
        password = None if settings.admin_password is None else settings.admin_password.get_secret_value()
        return usecases.ensure_admin(wiring.context, email=settings.admin_email, password=password)
    finally:
        wiring.close()


def workers(settings: Settings, *, clock: Clock | None = None, metrics: Metrics | None = None) -> list[Worker]:
    """The loops beside the API. This service consumes no events."""
    wiring = wire(settings, clock=clock or SystemClock())
    bus = connect_bus(settings.broker_url.get_secret_value())
    relay = Relay(wiring.context.database, bus, settings.schema_name, metrics=metrics)
    upkeep = partial(tasks.run_upkeep, wiring.context)
    return [
        Worker("user-service.relay", _closing(relay.run, wiring.close, bus.close)),
        Worker("user-service.upkeep", _closing(upkeep, wiring.close)),
    ]


def _closing(run: Callable[[threading.Event], None], *closers: Callable[[], None]) -> Callable[[threading.Event], None]:
    """``run``, and afterwards every idle connection given back."""

    def run_and_close(stop: threading.Event) -> None:
        try:
            run(stop)
        finally:
            for close in closers:
                close()

    return run_and_close
