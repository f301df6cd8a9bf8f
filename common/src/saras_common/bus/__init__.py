"""The transport of events: a Protocol with two implementations, RabbitMQ and PostgreSQL."""

from saras_common.bus.postgres_bus import PostgresBus
from saras_common.bus.protocol import (
    ATTEMPT_LIMIT,
    MAX_PARTITIONS,
    Bus,
    BusUnavailable,
    Handle,
    ParkedMessage,
    Subscriptions,
    partition_queue,
)
from saras_common.bus.rabbit_bus import RabbitBus
from saras_common.events import SUBSCRIPTIONS


def connect_bus(url: str, *, subscriptions: Subscriptions = SUBSCRIPTIONS) -> Bus:
    """The bus at ``url``: ``amqp://`` is RabbitMQ, ``postgresql://`` the tables of schema ``bus``. Connects lazily."""
    scheme = url.partition("://")[0]
    if scheme in {"amqp", "amqps"}:
        return RabbitBus(url, subscriptions=subscriptions)
    if scheme in {"postgresql", "postgres"}:
        return PostgresBus(url, subscriptions=subscriptions)
    raise ValueError("a bus URL starts with amqp:// or postgresql://")


__all__ = [
    "ATTEMPT_LIMIT",
    "MAX_PARTITIONS",
    "Bus",
    "BusUnavailable",
    "Handle",
    "ParkedMessage",
    "PostgresBus",
    "RabbitBus",
    "Subscriptions",
    "connect_bus",
    "partition_queue",
]
