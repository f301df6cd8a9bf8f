"""Staying below the broker's limits: 10 orders a second, 400 a minute, 5,000 a day, rejects and changes included.

A sliding log rather than a leaky average. A call counts from before it leaves until a whole window after its answer
came, so whatever moment inside that the broker counts it at, no window of the broker's ever holds more than the limit.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

SECOND, MINUTE = 1.0, 60.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Calls allowed for placing; changes and cancellations may use ``reserved_…`` more."""

    per_second: int = 9
    per_minute: int = 380
    per_day: int = 4800
    reserved_per_second: int = 1
    reserved_per_minute: int = 15
    reserved_per_day: int = 150


READ_LIMITS = Limits(per_second=8, per_minute=540, per_day=10**9, reserved_per_second=0)
"""Reading orders, trades, positions: ten a second for the account, two of them left to whoever else looks at it."""


class Limiter:
    """The log of one account's calls. Times are monotonic seconds; the count of the day comes from the store."""

    def __init__(self, limits: Limits, *, today: int = 0, recent: Iterable[float] = ()) -> None:
        self._limits = limits
        self._today = today
        self._ended: deque[float] = deque(sorted(recent))
        self._running = 0

    def wait_s(self, now: float, *, reserved: bool = False) -> float | None:
        """Seconds until one more call may leave: 0 for now, ``None`` when the day is used up."""
        limits = self._limits
        extra = (limits.reserved_per_second, limits.reserved_per_minute, limits.reserved_per_day)
        more = extra if reserved else (0, 0, 0)
        if self._today >= limits.per_day + more[2]:
            return None
        self._forget(now)
        by_second = self._wait(now, SECOND, limits.per_second + more[0])
        return max(by_second, self._wait(now, MINUTE, limits.per_minute + more[1]))

    def start(self) -> None:
        """A call is about to leave."""
        self._today += 1
        self._running += 1

    def end(self, now: float) -> None:
        """Its answer came, or none will."""
        self._running -= 1
        self._ended.append(now)

    def hold(self, now: float, seconds: float) -> None:
        """The broker says "too many": nothing leaves for ``seconds``."""
        self._ended.extend([now + seconds - SECOND] * (self._limits.per_second + self._limits.reserved_per_second))

    def new_day(self) -> None:
        """The broker's daily count starts again."""
        self._today = 0

    def left(self, now: float) -> dict[str, int]:
        """Calls left for placing, by window: for metrics."""
        self._forget(now)
        in_second = sum(1 for at in self._ended if at > now - SECOND) + self._running
        return {
            "second": max(0, self._limits.per_second - in_second),
            "minute": max(0, self._limits.per_minute - len(self._ended) - self._running),
            "day": max(0, self._limits.per_day - self._today),
        }

    def _forget(self, now: float) -> None:
        while self._ended and self._ended[0] <= now - MINUTE:
            self._ended.popleft()

    def _wait(self, now: float, window: float, limit: int) -> float:
        """Until the window holds fewer than ``limit`` calls."""
        recent = [at for at in self._ended if at > now - window]
        excess = len(recent) + self._running - limit
        if excess < 0:
            return 0.0
        if excess >= len(recent):
            return window
        return max(0.0, sorted(recent)[excess] + window - now)
