"""A small memory with a bound in size and in time, for answers that are dear to compute."""

from collections.abc import Hashable
from threading import Lock
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Remembered(Generic[K, V]):
    """Key → value until a moment of the monotonic clock; the oldest entry makes room. Safe to share by threads."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: dict[K, tuple[float, V]] = {}
        self._lock = Lock()

    def find(self, key: K, now: float) -> V | None:
        """The value, or ``None`` when it is unknown or its time is over."""
        entry = self._entries.get(key)
        return entry[1] if entry is not None and now < entry[0] else None

    def put(self, key: K, value: V, until: float) -> None:
        """Remember ``value`` until ``until``."""
        with self._lock:
            self._entries.pop(key, None)
            while len(self._entries) >= self._limit:
                del self._entries[next(iter(self._entries))]
            self._entries[key] = (until, value)

    def __len__(self) -> int:
        return len(self._entries)
