"""The sandbox's time: the machine's clock plus an offset that tests may set. Instants are aware UTC."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone

IST = timezone(timedelta(hours=5, minutes=30))
"""The exchange's time zone; India keeps no summer time."""

TOKENS_DIE = time(6, 0)
"""Access tokens end at this time of the exchange's day."""


class SandboxClock:
    """``now()`` runs on from wherever it was last set; ``offset`` is its distance to the machine's clock."""

    def __init__(self, source: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._source = source
        self.offset = timedelta()

    def now(self) -> datetime:
        """The sandbox's present."""
        return self._source() + self.offset

    def offset_to(self, moment: datetime) -> timedelta:
        """The offset at which ``now()`` would be ``moment``."""
        return moment - self._source()


def day_of(at: datetime) -> date:
    """The exchange's calendar day of an instant."""
    return at.astimezone(IST).date()


def ist_text(at: datetime) -> str:
    """``2026-11-21 09:15:00``: an instant as Kite writes it, in the exchange's time."""
    return at.astimezone(IST).strftime("%Y-%m-%d %H:%M:%S")


def end_of_day(day: date) -> datetime:
    """The last second of the exchange's day."""
    return datetime.combine(day, time(23, 59, 59), IST).astimezone(UTC)


def token_expiry(issued_at: datetime) -> datetime:
    """The first 06:00 IST after a token was issued."""
    local = issued_at.astimezone(IST)
    expiry = datetime.combine(local.date(), TOKENS_DIE, IST)
    return expiry if local < expiry else expiry + timedelta(days=1)


def utc_text(at: datetime) -> str:
    """RFC 3339 in UTC with milliseconds and ``Z``."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
