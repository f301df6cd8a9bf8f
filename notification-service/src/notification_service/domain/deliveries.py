"""The life of a delivery."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any
from uuid import UUID

from notification_service.domain.channels import Channel
from notification_service.domain.kinds import Kind
from notification_service.domain.preferences import Preferences


class State(StrEnum):
    """``queued``: handed to Celery; ``held``: waits for the digest it then is ``digested`` into."""

    PENDING = "PENDING"
    QUEUED = "QUEUED"
    SENDING = "SENDING"
    SENT = "SENT"
    FAILED = "FAILED"
    HELD = "HELD"
    DIGESTED = "DIGESTED"


TRANSITIONS: Mapping[State, frozenset[State]] = MappingProxyType(
    {
        State.PENDING: frozenset({State.QUEUED, State.SENDING, State.FAILED}),
        State.QUEUED: frozenset({State.QUEUED, State.PENDING, State.SENDING, State.FAILED}),
        State.SENDING: frozenset({State.QUEUED, State.SENDING, State.SENT, State.PENDING, State.FAILED}),
        State.HELD: frozenset({State.DIGESTED}),
        State.SENT: frozenset(),
        State.FAILED: frozenset(),
        State.DIGESTED: frozenset(),
    }
)
"""What may become what. SENDING → SENDING or QUEUED: the sender's lease ran out, it may have sent or not."""

WAITING = frozenset({State.PENDING, State.QUEUED, State.HELD})
"""Not begun: what its notification says when somebody begins is what is sent."""

MAX_BACKOFF_S = 6 * 3600.0
MAX_ANSWER_CHARS = 500


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery somebody took to send. ``attempts`` counts this one; it fences off whoever held it before."""

    id: UUID
    notification_id: UUID
    user_id: UUID
    channel: Channel
    target_id: UUID
    attempts: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Letter:
    """Everything a sender needs, read after the delivery was taken. ``address`` is a URL for webhooks."""

    delivery: Delivery
    kind: Kind
    count: int
    data: Mapping[str, Any]
    created_at: datetime
    preferences: Preferences
    full_name: str
    address: str | None

    def may_leave_at(self, wanted: datetime) -> datetime:
        """The first instant from ``wanted`` on at which it may be tried: a retry respects quiet hours too."""
        if self.delivery.channel is Channel.WEBHOOK:
            return wanted
        return self.preferences.allowed_at(self.kind, wanted)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one try; ``answer`` is the provider's, or ours when there was none."""

    sent: bool
    answer: str
    permanent: bool = False


def backoff_s(attempts: int, first_s: float, rng: random.Random) -> float:
    """Pause after so many tries: doubling, capped, between half and all of it so that retries do not march in step."""
    full = min(first_s * 2.0 ** min(attempts - 1, 40), MAX_BACKOFF_S)
    return full * rng.uniform(0.5, 1.0)
