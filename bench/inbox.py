"""`inbox`: events on the bus → rows in the inboxes with their deliveries, a second, on both buses."""

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from figures import Figure, median_of, repeat
from stage import private_rabbitmq

from notification_service.app import wire
from notification_service.consumer import news_handler
from notification_service.settings import Settings
from notification_service.usecases.context import Context
from saras_common.bus import Bus, PostgresBus, RabbitBus
from saras_common.clock import SystemClock
from saras_common.consumer import Consumer
from saras_common.db import migrate, provision
from saras_common.events import SUBSCRIPTIONS, Message, OrderUpdated, UserChanged, pack
from saras_common.ids import new_id
from saras_common.postgres import EmbeddedPostgres

EVENTS = 20_000
USERS = 500
IN_A_MESSAGE = 100
QUEUE = "notification-service"
ONLY_OURS = {QUEUE: SUBSCRIPTIONS[QUEUE]}


@contextmanager
def scratch_service() -> Iterator[tuple[Context, str]]:
    """The service on a server with its usual durability, mail among its channels; the bus' URL beside it."""
    with tempfile.TemporaryDirectory(prefix="saras-bench-", ignore_cleanup_errors=True) as folder:
        server = EmbeddedPostgres(Path(folder) / "home")
        try:
            admin = server.start()
            urls = provision(admin, {"notification_service": "bench-only", "bus": "bench-only"})
            migrate(admin, "notification_service")
            settings = Settings(
                database_url=urls["notification_service"],
                broker_url=urls["bus"],
                internal_token_key="b" * 32,
                webhook_key="b" * 32,
                smtp_host="127.0.0.1",
            )
            context = wire(settings, clock=SystemClock())
            yield context, urls["bus"]
            context.database.dispose()
        finally:
            server.stop()


def news() -> list[Message]:
    """Filled orders of many users, each a message of its own to its user, packed as a relay packs a steady stream."""
    now = datetime.now(UTC)
    users = [new_id() for _ in range(USERS)]
    people = [
        UserChanged(
            at=now,
            user_id=user,
            version=1,
            email=f"{user.hex}@example.com",
            full_name="Bench User",
            status="active",
            roles=["user"],
            kyc_status="none",
        )
        for user in users
    ]
    orders = [
        OrderUpdated(
            at=now,
            order_id=new_id(),
            user_id=users[number % USERS],
            instrument="NSE:INFY",
            side="BUY",
            product="CNC",
            quantity=5,
            status="FILLED",
            filled_quantity=5,
            filled_value_paise=761_700,
            charges_paise=812,
        )
        for number in range(EVENTS)
    ]
    messages = list(pack(people))
    for start in range(0, EVENTS, IN_A_MESSAGE):
        messages += pack(orders[start : start + IN_A_MESSAGE])
    return messages


def once(context: Context, bus: Bus) -> float:
    """Rows a second for `EVENTS` events that wait on the bus."""
    bus.publish(news())
    before = rows(context)
    consumer = Consumer(bus, QUEUE, context.database, news_handler(context))
    stop = threading.Event()
    thread = threading.Thread(target=consumer.run, args=(stop,))
    started = time.perf_counter()
    thread.start()
    while consumer.applied < EVENTS + USERS:
        time.sleep(0.005)
    seconds = time.perf_counter() - started
    stop.set()
    thread.join()
    bus.close()
    assert rows(context) - before == EVENTS
    return EVENTS / seconds


def rows(context: Context) -> int:
    """Messages in all inboxes, each with its delivery."""
    with context.database.for_service() as session:
        count = session.connection().exec_driver_sql(
            "SELECT count(*) FROM notifications n JOIN deliveries d ON d.notification_id = n.id WHERE in_app"
        )
        return int(count.scalar_one())


def measure() -> list[Figure]:
    """Both buses; RabbitMQ is left out, and said so, where it is not installed."""
    with scratch_service() as (context, bus_url):
        figures = [
            _figure("inbox (PostgreSQL bus)", lambda: once(context, PostgresBus(bus_url, subscriptions=ONLY_OURS)))
        ]
        with private_rabbitmq() as amqp_url:
            if amqp_url is None:
                return [*figures, Figure("inbox (RabbitMQ)", "rows/s", 0, note="not installed: make services")]
            figures.append(
                _figure("inbox (RabbitMQ)", lambda: once(context, RabbitBus(amqp_url, subscriptions=ONLY_OURS)))
            )
    return figures


def _figure(name: str, run: Callable[[], float]) -> Figure:
    runs = repeat(3, run)
    note = "one message and one delivery for each event"
    return Figure(name, "rows/s", median_of(runs), runs, "≥ 5,000", median_of(runs) >= 5_000, note)
