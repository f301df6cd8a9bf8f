"""How often: one limit for a user, an address or a kind of call, counted in a sliding window.

The rule is the sliding-window counter of the ``limits`` library: the last window's count, weighted by how much of it
still overlaps, plus this one's. In one process it is counted here (0.6 µs; the library's memory storage takes 18 µs
and a timer thread). With Redis, the calls that guard passwords are counted there exactly, through the library; the
others are counted here and shared between gateways a few times a second, so no request waits for Redis.
"""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from limits import RateLimitItem, parse
from limits.aio.storage import RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from redis.asyncio import ConnectionPool, Redis
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

_MAX_KEYS = 200_000
"""Distinct clients counted in one window; past it new ones share a count, so memory stays bounded."""
_OVERFLOW = "(others)"
_TICK_S = 0.001


@dataclass(frozen=True, slots=True)
class Rate:
    """At most ``amount`` calls in ``window_s`` seconds. ``strict``: exact across gateways, at the price of a wait."""

    name: str
    amount: int
    window_s: int
    strict: bool = False

    @classmethod
    def parse(cls, name: str, text: str, *, strict: bool = False) -> "Rate":
        """From the library's notation, such as ``10/minute``."""
        item = parse(text)
        return cls(name, item.amount, item.get_expiry(), strict)


class Windows:
    """Counts of one rate by key, for this window and the last. ``elsewhere`` adds what other gateways counted."""

    __slots__ = ("_counts", "_index", "_last", "elsewhere", "last_elsewhere", "rate")

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self._index = -1
        self._counts: dict[str, int] = {}
        self._last: dict[str, int] = {}
        self.elsewhere: dict[str, int] = {}
        self.last_elsewhere: dict[str, int] = {}

    def hit(self, key: str, now: float) -> float:
        """Count one call at ``now`` (unix seconds): 0 when it is within the rate, else the seconds to wait."""
        rate = self.rate
        window_s = rate.window_s
        index, into = divmod(now, window_s)
        if index != self._index:
            self._turn(int(index))
        counts = self._counts
        count = counts.get(key, 0)
        if count == 0 and len(counts) >= _MAX_KEYS:
            key = _OVERFLOW
            count = counts.get(key, 0)
        used = count + self.elsewhere.get(key, 0) if self.elsewhere else count
        last = self._last.get(key, 0)
        if self.last_elsewhere:
            last += self.last_elsewhere.get(key, 0)
        if used + last * (1 - into / window_s) >= rate.amount:
            return self._wait(used, last, into)
        counts[key] = count + 1
        return 0.0

    def counts(self, now: float) -> tuple[int, Mapping[str, int]]:
        """This window's number and the calls counted in it here."""
        index = int(now // self.rate.window_s)
        if index != self._index:
            self._turn(index)
        return index, self._counts

    def _turn(self, index: int) -> None:
        follows = index == self._index + 1
        self._last = self._counts if follows else {}
        self.last_elsewhere = self.elsewhere if follows else {}
        self._counts, self.elsewhere, self._index = {}, {}, index

    def _wait(self, used: int, last: int, into: float) -> float:
        """Seconds until one more call fits, if nobody else calls."""
        rate = self.rate
        left = rate.window_s - into
        if used >= rate.amount:  # this window's own count must fade in the next
            return left + rate.window_s * (1 - rate.amount / used) + _TICK_S
        return left - rate.window_s * (rate.amount - used) / last + _TICK_S


class Limiter(Protocol):
    """Counts calls; gives the seconds to wait, or 0. ``hit`` answers at once, ``strict_hit`` may ask a shared store."""

    def hit(self, rate: Rate, key: str, now: float) -> float: ...

    async def strict_hit(self, rate: Rate, key: str, now: float) -> float: ...

    async def share(self, now: float) -> None: ...

    async def close(self) -> None: ...


class MemoryLimiter:
    """Counts in this process alone."""

    def __init__(self) -> None:
        self._windows: dict[str, Windows] = {}

    def hit(self, rate: Rate, key: str, now: float) -> float:
        windows = self._windows.get(rate.name)
        if windows is None:
            windows = self._windows[rate.name] = Windows(rate)
        return windows.hit(key, now)

    async def strict_hit(self, rate: Rate, key: str, now: float) -> float:
        return self.hit(rate, key, now)

    async def share(self, now: float) -> None:
        """Nobody to share with."""

    async def close(self) -> None:
        """Nothing is open."""

    def windows(self) -> list[Windows]:
        """The counts of every rate met so far."""
        return list(self._windows.values())


class RedisLimiter:
    """Counts shared by all gateways. While Redis is away each gateway limits by what it sees itself."""

    def __init__(self, url: str, *, timeout_s: float = 0.25) -> None:
        self._memory = MemoryLimiter()
        self._pool = ConnectionPool.from_url(url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s)
        self._redis = Redis(connection_pool=self._pool)
        storage = RedisStorage(
            f"async+{url}",
            implementation="redispy",
            connection_pool=self._pool,  # type: ignore[arg-type] # documented; its annotation forgot it
        )
        self._strict = SlidingWindowCounterRateLimiter(storage)
        self._items: dict[str, RateLimitItem] = {}
        self._sent: dict[tuple[str, int], dict[str, int]] = {}
        self.available = True

    def hit(self, rate: Rate, key: str, now: float) -> float:
        return self._memory.hit(rate, key, now)

    async def strict_hit(self, rate: Rate, key: str, now: float) -> float:
        item = self._items.get(rate.name)
        if item is None:
            item = self._items[rate.name] = parse(f"{rate.amount} per {rate.window_s} second")
        try:
            if await self._strict.hit(item, rate.name, key):
                return 0.0
            stats = await self._strict.get_window_stats(item, rate.name, key)
        except (RedisError, OSError) as error:
            self._mark(error)
            return self._memory.hit(rate, key, now)
        self._mark(None)
        return max(stats.reset_time - now, 1.0)

    async def share(self, now: float) -> None:
        """Add what was counted here since the last time to Redis, and learn what the others counted."""
        for windows in self._memory.windows():
            if windows.rate.strict:
                continue
            index, counts = windows.counts(now)
            sent = self._sent.get((windows.rate.name, index), {})
            fresh = {key: count for key, count in counts.items() if count > sent.get(key, 0)}
            if not fresh:
                continue
            try:
                totals = await self._add(windows.rate, index, fresh, sent)
            except (RedisError, OSError) as error:
                self._mark(error)
                return
            self._mark(None)
            self._sent = {k: v for k, v in self._sent.items() if k[0] != windows.rate.name}
            self._sent[windows.rate.name, index] = {**sent, **fresh}
            if windows.counts(now)[0] == index:
                windows.elsewhere.update({key: max(totals[key] - fresh[key], 0) for key in fresh})

    async def close(self) -> None:
        await self._redis.aclose()
        await self._pool.disconnect()

    async def _add(self, rate: Rate, index: int, fresh: Mapping[str, int], sent: Mapping[str, int]) -> dict[str, int]:
        async with self._redis.pipeline(transaction=False) as pipe:
            for key, count in fresh.items():
                name = f"saras:rate:{rate.name}:{index}:{key}"
                pipe.incrby(name, count - sent.get(key, 0))
                pipe.expire(name, rate.window_s * 2)
            answers = await pipe.execute()
        return dict(zip(fresh, answers[::2], strict=True))

    def _mark(self, error: Exception | None) -> None:
        if (error is None) != self.available:
            self.available = error is None
            if error is not None:
                log.warning("rate limits are not shared: Redis is away", extra={"reason": type(error).__name__})


def retry_after_s(wait_s: float) -> int:
    """Whole seconds for Retry-After, at least one."""
    return max(1, math.ceil(wait_s))
