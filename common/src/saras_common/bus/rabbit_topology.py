"""How queues look in RabbitMQ, how messages are written, and how connections are set up.

Each queue is a quorum queue fed directly by name, so a publisher's confirm speaks for that queue and nothing is lost
to a stale binding. It dead-letters to ``<queue>.parked`` after its delivery limit; the exchange for that exists, or
RabbitMQ would drop such a message in silence.
"""

import threading
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pika

from saras_common.bus.protocol import ParkedMessage
from saras_common.events import Message

HEARTBEAT_S = 30
BLOCKED_TIMEOUT_S = 20
"""RabbitMQ blocks publishers while short of disk or memory; past this we say so instead of hanging."""

DELIVERY_LIMIT = 50
"""For messages that kill their consumer. High, since every lost connection counts one for what was in flight."""

MAX_QUEUE_BYTES = 20_000_000_000
DEAD_EXCHANGE = "saras.dead"

Call = tuple[str, dict[str, Any]]
"""A method of a channel, and its arguments."""


def connection_parameters(url: str, name: str) -> pika.URLParameters:
    """How we connect: heartbeats, timeouts and a name the operator sees."""
    parameters = pika.URLParameters(url)
    parameters.heartbeat = HEARTBEAT_S
    parameters.blocked_connection_timeout = BLOCKED_TIMEOUT_S
    parameters.socket_timeout = 5
    parameters.stack_timeout = 10
    parameters.connection_attempts = 1
    parameters.client_properties = {"connection_name": name}
    return parameters


def parked_queue(queue: str) -> str:
    """Where messages of ``queue`` go that it gave up on."""
    return f"{queue}.parked"


class Topology:
    """The queues a client makes at each connect; more when it comes to know of them."""

    def __init__(self, queues: Sequence[str]) -> None:
        self._queues = list(queues)
        self._lock = threading.Lock()

    def learn(self, queues: Iterable[str]) -> bool:
        """Make these too from now on; whether any is new."""
        with self._lock:
            new = [queue for queue in queues if queue not in self._queues]
            self._queues += new
        return bool(new)

    def declarations(self) -> list[Call]:
        """Calls on a channel that make the topology; repeating them changes nothing."""
        with self._lock:
            queues = list(self._queues)
        calls: list[Call] = [
            ("exchange_declare", {"exchange": DEAD_EXCHANGE, "exchange_type": "direct", "durable": True})
        ]
        for queue in queues:
            parked = parked_queue(queue)
            calls += [
                ("queue_declare", {"queue": parked, "durable": True, "arguments": {"x-queue-type": "quorum"}}),
                ("queue_bind", {"queue": parked, "exchange": DEAD_EXCHANGE, "routing_key": queue}),
                ("queue_declare", {"queue": queue, "durable": True, "arguments": queue_arguments(queue)}),
            ]
        return calls


def queue_arguments(queue: str) -> dict[str, Any]:
    """A quorum queue that refuses when full and hands poison to its parked queue without losing it on the way."""
    return {
        "x-queue-type": "quorum",
        "x-single-active-consumer": True,
        "x-delivery-limit": DELIVERY_LIMIT,
        "x-dead-letter-exchange": DEAD_EXCHANGE,
        "x-dead-letter-routing-key": queue,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
        "x-max-length-bytes": MAX_QUEUE_BYTES,
    }


def properties_of(message: Message, **headers: Any) -> pika.BasicProperties:
    """A persistent message with its id, kind and number of events."""
    return pika.BasicProperties(
        content_type="application/json",
        delivery_mode=2,
        message_id=str(message.id),
        type=message.type,
        timestamp=int(time.time()),
        headers={"count": message.count, **headers},
    )


def message_of(properties: pika.BasicProperties, body: bytes) -> Message:
    """The message in a delivery. One that a stranger wrote without our properties becomes one of an unknown kind."""
    try:
        message_id = UUID(properties.message_id)
    except (TypeError, ValueError, AttributeError):
        message_id = UUID(int=0)
    count = (properties.headers or {}).get("count", 1)
    return Message(message_id, properties.type or "", body, count if isinstance(count, int) else 1)


def parked_of(properties: pika.BasicProperties, body: bytes) -> ParkedMessage:
    """A parked message: parked by us with a reason, or dead-lettered by RabbitMQ, which writes ``x-death``."""
    headers = properties.headers or {}
    reason, attempts = headers.get("reason"), headers.get("attempts")
    parked_at = datetime.fromtimestamp(properties.timestamp or 0, UTC)
    if reason is None:
        [death, *_] = headers.get("x-death") or [{}]
        reason = f"its consumer ended without an answer ({death.get('reason', 'dead-lettered')})"
        attempts = DELIVERY_LIMIT
        at = death.get("time")
        parked_at = at.replace(tzinfo=UTC) if isinstance(at, datetime) else parked_at
    return ParkedMessage(message_of(properties, body), str(reason), int(attempts or 0), parked_at)
