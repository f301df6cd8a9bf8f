"""Kite's rate limits, per account and in real time: sliding windows, so no second ever holds more than its limit."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

Bucket = Literal["orders", "quotes", "historical", "other", "none"]

LIMITS: dict[Bucket, tuple[tuple[int, float], ...]] = {
    "orders": ((10, 1.0), (400, 60.0)),
    "quotes": ((1, 1.0),),
    "historical": ((3, 1.0),),
    "other": ((10, 1.0),),
    "none": (),
}
"""(calls, seconds) per bucket. Placing, modifying and cancelling share ``orders``."""

MAX_ORDERS_A_DAY = 5_000
"""Orders and modifications of a trading day; counted by the broker's own state, so a restart forgets nothing."""


@dataclass(slots=True)
class _Window:
    calls: int
    seconds: float
    taken: deque[float] = field(default_factory=deque)

    def is_full(self, now: float) -> bool:
        while self.taken and self.taken[0] <= now - self.seconds:
            self.taken.popleft()
        return len(self.taken) >= self.calls


class RateLimits:
    """Counts calls per account and bucket. A refused call takes no place in the window."""

    def __init__(self, monotonic: Callable[[], float], *, is_strict: bool) -> None:
        self._monotonic = monotonic
        self.is_strict = is_strict
        self._windows: dict[tuple[str, Bucket], list[_Window]] = {}

    def take(self, api_key: str, bucket: Bucket) -> bool:
        """Count one call; ``False`` when it is over a limit."""
        if not self.is_strict:
            return True
        now = self._monotonic()
        key = (api_key, bucket)
        if key not in self._windows:
            self._windows[key] = [_Window(calls, seconds) for calls, seconds in LIMITS[bucket]]
        windows = self._windows[key]
        if any(window.is_full(now) for window in windows):
            return False
        for window in windows:
            window.taken.append(now)
        return True

    def reset(self) -> None:
        """Forget all calls."""
        self._windows.clear()
