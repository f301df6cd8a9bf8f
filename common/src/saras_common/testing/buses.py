"""A place for a bus that a test may break: either implementation, on servers of our own."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pika
import psycopg
from sqlalchemy.engine import make_url

from saras_common.bus import Bus, PostgresBus, RabbitBus, Subscriptions
from saras_common.bus.rabbit_topology import parked_queue
from saras_common.events import SUBSCRIPTIONS
from saras_common.servers import PrivateRabbit
from saras_common.testing.databases import MigratedDatabase


@dataclass
class BusSite:
    """Where a bus lives. ``url`` is for `connect_bus`; the queues of our topology are empty."""

    name: str
    url: str
    connect_at: Callable[[Subscriptions], Bus]
    down: Callable[[], None]
    """The bus stops answering and loses its connections; what is in it stays."""
    up: Callable[[], None]
    _buses: list[Bus] = field(default_factory=list)

    def connect(self, subscriptions: Subscriptions = SUBSCRIPTIONS) -> Bus:
        """One more client; closed after the test."""
        self._buses.append(self.connect_at(subscriptions))
        return self._buses[-1]

    def close(self) -> None:
        for bus in self._buses:
            bus.close()


def postgres_site(database: MigratedDatabase) -> BusSite:
    """The bus in a database made for the test; it goes down by refusing connections."""
    admin = make_url(database.admin_url)

    def execute(*statements: str) -> None:
        url = admin.set(database="postgres").render_as_string(hide_password=False)
        with psycopg.connect(url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    def down() -> None:
        execute(
            f"ALTER DATABASE {admin.database} ALLOW_CONNECTIONS false",
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{admin.database}'",  # noqa: S608
        )

    def up() -> None:
        execute(f"ALTER DATABASE {admin.database} ALLOW_CONNECTIONS true")

    return BusSite(
        "postgres",
        database.bus_url,
        lambda subscriptions: PostgresBus(database.bus_url, subscriptions=subscriptions),
        down,
        up,
    )


def rabbit_site(server: PrivateRabbit) -> BusSite:
    """The session's RabbitMQ with the queues of earlier tests removed; it goes down by being killed."""
    empty(server.url, SUBSCRIPTIONS)

    def connect(subscriptions: Subscriptions) -> Bus:
        if subscriptions is not SUBSCRIPTIONS and not site._buses:  # noqa: SLF001 - the first client of a test
            empty(server.url, subscriptions)
        return RabbitBus(server.url, subscriptions=subscriptions)

    def up() -> None:
        server.start()

    def down() -> None:
        time.sleep(1)  # deleting and declaring a queue again is on disk only after half a second (see SETTLE_S)
        server.kill()

    site = BusSite("rabbit", server.url, connect, down, up)
    return site


def empty(url: str, subscriptions: Subscriptions) -> None:
    """Delete the queues of a topology, so that a test starts with none."""
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    for queue in subscriptions:
        channel.queue_delete(f"saras.{queue}")
        channel.queue_delete(parked_queue(f"saras.{queue}"))
    connection.close()
