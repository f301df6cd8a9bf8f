"""Time as a parameter: nobody else calls ``datetime.now``."""

import time
from datetime import UTC, date, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

IST = ZoneInfo("Asia/Kolkata")
"""The exchange's time zone; sessions and trading days are counted in it."""


class Clock(Protocol):
    """Two readings: the instant (aware, UTC) and a monotonic count of seconds for deadlines."""

    def now(self) -> datetime: ...

    def monotonic(self) -> float: ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


class ManualClock:
    """A clock that moves when told to: for tests and simulation."""

    def __init__(self, start: datetime) -> None:
        self._now = start.astimezone(UTC)
        self._monotonic = 0.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Move both readings forward."""
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds

    def step(self, now: datetime) -> None:
        """Set the wall clock alone, as a time server or an operator would; the monotonic reading stays."""
        self._now = now.astimezone(UTC)


def trading_day(at: datetime) -> date:
    """The calendar day in India at ``at``."""
    return at.astimezone(IST).date()


def day_start(at: datetime) -> datetime:
    """The midnight in India before ``at``."""
    return datetime.combine(trading_day(at), datetime.min.time(), IST)


def rfc3339(at: datetime) -> str:
    """UTC with ``Z``, microseconds kept."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
