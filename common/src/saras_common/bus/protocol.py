"""What every bus does. Two implementations and one contract suite, ``common/tests/contract/test_common_bus.py``."""

import threading
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from saras_common.errors import Unavailable
from saras_common.events import Message

Handle = Callable[[list[Message]], None]
"""Applies messages in queue order. Returning means done, `Unavailable` "not now"; else the message is at fault."""

Subscriptions = Mapping[str, AbstractSet[str]]
"""Queue → kinds of message it receives."""

ATTEMPT_LIMIT = 5
"""Times a message may fail on its own before it is parked."""

MAX_EVENTS_A_DELIVERY = 10_000
"""A delivery of several messages stops growing here, so that a handler's transaction stays of a size."""

MAX_PARTITIONS = 16
"""A queue has no more, so that each gets several of the buckets users lie in."""

MAX_PAUSE_S = 2.0
"""Longest wait between attempts while something is down."""


def partition_queue(queue: str, count: int, number: int) -> str:
    """The name of one of the ``count`` partitions of ``queue``."""
    return f"{queue}.{count}.{number:02}"


class BusUnavailable(Unavailable):
    """The bus cannot take or give messages now."""


@dataclass(frozen=True, slots=True)
class ParkedMessage:
    """A message its queue gave up on."""

    message: Message
    reason: str
    attempts: int
    parked_at: datetime


class Bus(Protocol):
    """Durable queues fed by kind of message, at least once, in order for one publisher and one consumer."""

    def publish(self, messages: Sequence[Message]) -> None:
        """Return when every message is durable in each subscribed queue; raise `BusUnavailable` otherwise.

        After an error some of the messages may have arrived. A kind without subscribers is dropped.
        """

    def partition(self, queue: str, count: int) -> list[str]:
        """See that ``queue`` has ``count`` partitions (`MAX_PARTITIONS` at most), queues of their own; their names."""

    def publish_to(self, messages: Sequence[tuple[str, Message]]) -> None:
        """As `publish`, each message into the queue beside it and no other."""

    def consume(self, queue: str, handle: Handle, stop: threading.Event, *, batch: int = 64) -> None:
        """Deliver until ``stop``, in the caller's thread; outages of the bus are waited out.

        A delivery that raises is repeated message by message, and a message that keeps failing is parked with its
        reason while its neighbours pass. Of several consumers of a queue one is fed at a time.
        """

    def depth(self, queue: str) -> int:
        """Messages waiting in the queue; those in a consumer's hands may or may not be counted."""

    def is_idle(self, queue: str) -> bool:
        """Whether nothing waits in the queue, and nothing is in a consumer's hands."""

    def parked(self, queue: str) -> list[ParkedMessage]:
        """Messages the queue gave up on, oldest first."""

    def replay(self, queue: str, message_id: UUID) -> None:
        """Put a parked message back at the end of its queue; `NotFound` when it is not parked."""

    def check(self) -> None:
        """Raise `BusUnavailable` unless the bus answers."""

    def close(self) -> None:
        """Let go of connections; consumers have been stopped before."""


def reason_of(error: BaseException) -> str:
    """What a parked message says of the error that stopped it."""
    return f"{type(error).__name__}: {error}".replace("\0", "")[:2000]
