"""The only wiring of this service."""

import hashlib
import hmac
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial

from fastapi import FastAPI

from saras_common.auth import InternalTokens
from saras_common.bus import Bus, connect_bus
from saras_common.clock import Clock
from saras_common.consumer import Consumer
from saras_common.db import Database
from saras_common.events import Message
from saras_common.ids import NewId, new_id
from saras_common.metrics import Metrics
from saras_common.money import PAISE
from saras_common.outbox import Relay
from saras_common.tracing import Traces, connect_traces
from saras_common.web import Worker, create_service_app
from trade_executor import failpoints, kite
from trade_executor.api import routers
from trade_executor.broker import Broker, BrokerUnavailable
from trade_executor.consumer import Handler, make_handler
from trade_executor.core.intents import AbsenceRule
from trade_executor.domain import BrokerSession
from trade_executor.engine.desk import Desk, DeskRules
from trade_executor.engine.leader import Leader
from trade_executor.engine.leadership import Leadership
from trade_executor.engine.loop import LeaderLoop
from trade_executor.market import Market
from trade_executor.metrics import ExecutorMetrics
from trade_executor.settings import BrokerAccount, Settings
from trade_executor.tasks import AccountWork, MarketWork
from trade_executor.usecases.context import BrokerDoor, Context, LoginRefused
from trade_executor.usecases.sending import SendRules
from trade_executor.wiring import Wiring, session_ends_at, wire


def _context(wiring: Wiring) -> Context:
    settings = wiring.settings
    sandbox = wiring.sandbox(settings.kite_accounts[0])
    return Context(
        transactions=wiring.transactions,
        clock=wiring.clock,
        new_id=wiring.new_id,
        mode=settings.mode,
        window=wiring.window,
        hours=wiring.hours,
        doors={account.id: _door(wiring, account) for account in settings.kite_accounts},
        set_price=sandbox.set_price if sandbox else None,
        session_ends_at=session_ends_at,
    )


def _door(wiring: Wiring, account: BrokerAccount) -> BrokerDoor:
    secret = account.secret.get_secret_value()

    def log_in(request_token: str) -> bytes:
        try:
            token = kite.log_in(wiring.login(account), request_token, secret)
        except BrokerUnavailable as error:
            raise LoginRefused(str(error)) from error
        return wiring.sealer.seal(token, account.id)

    def is_genuine(order_id: str, timestamp: str, checksum: str) -> bool:
        expected = hashlib.sha256(f"{order_id}{timestamp}{secret}".encode()).hexdigest()
        return hmac.compare_digest(expected.encode(), checksum.encode())

    return BrokerDoor(account.id, _login_url(wiring.settings, account), log_in, is_genuine)


def _login_url(settings: Settings, account: BrokerAccount) -> str:
    if settings.is_live:
        return kite.login_url(account.api_key)
    return f"{settings.kite_root.rstrip('/')}/connect/login?api_key={account.api_key}&v=3"


def create_app(
    settings: Settings, *, clock: Clock | None = None, new_id: NewId = new_id, metrics: Metrics | None = None
) -> FastAPI:
    """The service's application. Time, ids and metrics can be given, for tests and for one shared process."""
    wiring = wire(settings, clock=clock, new_id=new_id)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        wiring.database.dispose()

    app = create_service_app(
        settings,
        title="trade-executor",
        internal_tokens=InternalTokens(settings.internal_token_key.get_secret_value().encode(), wiring.clock),
        metrics=metrics or Metrics(),
        checks={"database": wiring.database.check},
        lifespan=lifespan,
    )
    app.state.context = _context(wiring)
    for router in routers:
        app.include_router(router)
    return app


def workers(settings: Settings, *, clock: Clock | None = None, metrics: Metrics | None = None) -> list[Worker]:
    """The loops beside the API: the queue's consumer, the outbox's relay, the leaders with the market data."""
    make = partial(wire, settings, clock=clock)
    metrics = metrics or Metrics()
    failpoint = failpoints.nothing if settings.is_live else failpoints.parse(settings.failpoint)
    return [
        Worker("trade-executor.consume", partial(_consume, make, metrics, failpoint)),
        Worker("trade-executor.relay", partial(_relay, make, metrics)),
        Worker("trade-executor.worker", partial(_work, make, metrics, failpoint)),
    ]


class _Consumer(Consumer):
    """Names the place between the commit of a delivery and its acknowledgement."""

    def __init__(
        self,
        bus: Bus,
        queue: str,
        database: Database,
        handle: Handler,
        metrics: Metrics,
        traces: Traces,
        failpoint: failpoints.Failpoint,
    ) -> None:
        super().__init__(bus, queue, database, handle, metrics=metrics, traces=traces)
        self._failpoint = failpoint

    def deliver(self, messages: Sequence[Message]) -> None:
        super().deliver(messages)
        self._failpoint("orders_committed")


@contextmanager
def _tools(make: Callable[[], Wiring]) -> Iterator[Wiring]:
    """Tools of one loop, closed after it."""
    wiring = make()
    try:
        yield wiring
    finally:
        wiring.database.dispose()


@contextmanager
def _bus(wiring: Wiring) -> Iterator[Bus]:
    bus = connect_bus(wiring.settings.broker_url.get_secret_value())
    try:
        yield bus
    finally:
        bus.close()


def _consume(
    make: Callable[[], Wiring], metrics: Metrics, failpoint: failpoints.Failpoint, stop: threading.Event
) -> None:
    """Take orders, cancellations, deposits and the book's totals from the bus until ``stop``."""
    with _tools(make) as wiring, _bus(wiring) as bus:
        handle = make_handler(wiring.clock, wiring.window, wiring.new_id, failpoint)
        settings = wiring.settings
        traces = connect_traces(settings.service, settings.traces_endpoint, settings.traces_share)
        _Consumer(bus, settings.service, wiring.database, handle, metrics, traces, failpoint).run(stop)
        traces.close()


def _relay(make: Callable[[], Wiring], metrics: Metrics, stop: threading.Event) -> None:
    """Carry the outbox to the bus until ``stop``."""
    with _tools(make) as wiring, _bus(wiring) as bus:
        Relay(wiring.database, bus, wiring.settings.schema_name, metrics=metrics).run(stop)


def _work(make: Callable[[], Wiring], metrics: Metrics, failpoint: failpoints.Failpoint, stop: threading.Event) -> None:
    """Lead every account, and read market data with the first one's login, until ``stop``."""
    with _tools(make) as wiring:
        _lead(wiring, metrics, failpoint, stop)


def _lead(wiring: Wiring, metrics: Metrics, failpoint: failpoints.Failpoint, stop: threading.Event) -> None:
    works = [
        AccountWork(wiring, account, _leader_loop(wiring, account, metrics, failpoint))
        for account in wiring.settings.kite_accounts
    ]
    market = MarketWork(wiring, works[0], _market(wiring, works[0]))
    threads = [
        threading.Thread(target=run, args=(stop,), name=name, daemon=True)
        for name, run in [(f"leader-{work.account.id}", work.run) for work in works] + [("market", market.run)]
    ]
    for thread in threads:
        thread.start()
    stop.wait()
    for thread in threads:
        thread.join(timeout=5)


def _market(wiring: Wiring, work: AccountWork) -> Market:
    return Market(wiring.transactions, wiring.clock, work.find_market_data, every_s=wiring.settings.quotes_every_s)


def _leader_loop(
    wiring: Wiring, account: BrokerAccount, metrics: Metrics, failpoint: failpoints.Failpoint
) -> LeaderLoop:
    settings = wiring.settings
    sandbox = wiring.sandbox(account)
    leadership = Leadership(
        account.id,
        wiring.new_id(),
        wiring.transactions,
        wiring.clock,
        ttl_s=settings.lease_ttl_s,
        grace_s=sum(settings.timeouts_s),
    )
    watch = ExecutorMetrics(metrics, account.id)
    connect: Callable[[BrokerSession], Broker] = partial(wiring.connect, account)
    desk = Desk(
        account_id=account.id,
        transactions=wiring.transactions,
        clock=wiring.clock,
        rules=DeskRules(
            window=wiring.window,
            hours=wiring.hours,
            absence=AbsenceRule(settings.absence_reads, settings.absence_window_s),
            send=SendRules(
                int(settings.protection_percent * 100),
                settings.max_broker_order_rupees * PAISE,
                settings.max_account_day_rupees * PAISE,
            ),
            reconcile_every_s=settings.reconcile_every_s,
            moves_cash=sandbox is not None,
        ),
        leadership=leadership,
        new_id=wiring.new_id,
        connect=connect,
        mirror=sandbox.move_funds if sandbox else None,
        failpoint=failpoint,
        watch=watch,
    )
    return LeaderLoop(
        Leader(desk), settings.database_url.get_secret_value(), after_step=partial(watch.look, wiring.transactions)
    )
