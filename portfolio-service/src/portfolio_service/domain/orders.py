"""The life of an order in the book: its states and the one table of moves between them."""

from enum import StrEnum


class Status(StrEnum):
    """States as clients see them."""

    ACCEPTED = "ACCEPTED"
    QUEUED = "QUEUED"
    WORKING = "WORKING"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"

    @property
    def is_terminal(self) -> bool:
        """Nothing follows this state."""
        return not TRANSITIONS[self]


_ENDS = frozenset({Status.CANCELLED, Status.REJECTED, Status.EXPIRED})
_FILLS = frozenset({Status.PARTIALLY_FILLED, Status.FILLED})

TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.ACCEPTED: frozenset({Status.QUEUED, Status.WORKING}) | _FILLS | _ENDS,
    Status.QUEUED: frozenset({Status.WORKING}) | _FILLS | _ENDS,
    Status.WORKING: _FILLS | _ENDS,
    Status.PARTIALLY_FILLED: frozenset({Status.FILLED}) | _ENDS,
    Status.FILLED: frozenset(),
    Status.CANCELLED: frozenset(),
    Status.REJECTED: frozenset(),
    Status.EXPIRED: frozenset(),
}
"""A move that is not here is late, repeated or out of order news and changes nothing."""

OPEN = tuple(status for status in Status if TRANSITIONS[status])
TERMINAL = tuple(status for status in Status if not TRANSITIONS[status])


def follows(current: Status, wanted: Status) -> bool:
    """Whether an order in ``current`` moves to ``wanted``."""
    return wanted in TRANSITIONS[current]
