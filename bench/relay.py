"""`relay`: outbox → bus → inbox on both buses, events a second from the first relayed row to the last applied event."""

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from figures import RUNS, Figure, median_of, repeat
from stage import private_rabbitmq

from saras_common.bus import Bus, connect_bus
from saras_common.consumer import Consumer
from saras_common.db import Database, provision
from saras_common.events import MAX_EVENTS_A_MESSAGE, OrderAccepted
from saras_common.ids import new_id
from saras_common.inbox import create_inbox
from saras_common.outbox import Outbox, Relay, create_outbox
from saras_common.postgres import EmbeddedPostgres

EVENTS = 100_000
SCHEMA = "relay_bench"
QUEUE = "trade-executor"


class _Execute:
    """The part of a migration's ``op`` the outbox and inbox need."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection

    def execute(self, sqltext: str) -> None:
        self._connection.execute(sqltext.encode())


@contextmanager
def scratch_database() -> Iterator[tuple[Database, str]]:
    """A server with its usual durability, one schema with outbox and inbox, and the bus; the bus' URL beside it."""
    with tempfile.TemporaryDirectory(prefix="saras-bench-", ignore_cleanup_errors=True) as folder:
        server = EmbeddedPostgres(Path(folder) / "home")
        try:
            admin = server.start()
            urls = provision(admin, {SCHEMA: "bench-only", "bus": "bench-only"})
            with psycopg.connect(admin, autocommit=True) as connection:
                create_outbox(_Execute(connection), SCHEMA, SCHEMA)
                create_inbox(_Execute(connection), SCHEMA, SCHEMA)
            database = Database(urls[SCHEMA], schema=SCHEMA)
            yield database, urls["bus"]
            database.dispose()
        finally:
            server.stop()


def orders(count: int) -> list[OrderAccepted]:
    """``count`` plain market orders."""
    now = datetime.now(UTC)
    return [
        OrderAccepted(
            at=now,
            order_id=new_id(),
            user_id=new_id(),
            account_id="main",
            instrument="NSE:INFY",
            side="BUY",
            order_type="MARKET",
            product="CNC",
            validity="DAY",
            quantity=5,
            cap_price_paise=154_500,
        )
        for _ in range(count)
    ]


def once(database: Database, bus: Bus) -> float:
    """Events a second for `EVENTS` events that wait in the outbox, packed as a burst packs them."""
    outbox = Outbox(SCHEMA)
    for _ in range(EVENTS // 10_000):
        with database.for_service() as session:
            outbox.add(session, orders(10_000))
    relay = Relay(database, bus, SCHEMA, batch=20)
    seen: list[int] = []
    consumer = Consumer(bus, QUEUE, database, lambda _session, events: seen.append(len(events)))
    stop = threading.Event()
    threads = [threading.Thread(target=worker.run, args=(stop,)) for worker in (consumer, relay)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    while consumer.applied < EVENTS:
        time.sleep(0.005)
    seconds = time.perf_counter() - started
    stop.set()
    for thread in threads:
        thread.join()
    assert sum(seen) == EVENTS, (sum(seen), MAX_EVENTS_A_MESSAGE)
    return EVENTS / seconds


def measure() -> list[Figure]:
    """Both buses; RabbitMQ is left out, and said so, where it is not installed."""
    figures = []
    with scratch_database() as (database, bus_url):
        figures.append(_figure("relay (PostgreSQL bus)", lambda: once(database, connect_bus(bus_url))))
        with private_rabbitmq() as amqp_url:
            if amqp_url is None:
                return [*figures, Figure("relay (RabbitMQ)", "events/s", 0, note="not installed: make services")]
            figures.append(_figure("relay (RabbitMQ)", lambda: once(database, connect_bus(amqp_url))))
    return figures


def _figure(name: str, run: Callable[[], float]) -> Figure:
    runs = repeat(RUNS, run)
    return Figure(name, "events/s", median_of(runs), runs, "≥ 20,000", median_of(runs) >= 20_000)
