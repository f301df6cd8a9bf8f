"""Prometheus metrics with one registry a process, passed in, never global."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from saras_common.errors import Unavailable

UNKNOWN = float("nan")

M = TypeVar("M", Counter, Gauge, Histogram)

LATENCY_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """Makes each metric once, by name; services of one process may share an instance."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._made: dict[str, Counter | Gauge | Histogram] = {}

    def counter(self, name: str, help_text: str, labels: Sequence[str] = ()) -> Counter:
        """A count that only grows."""
        return self._get(name, lambda: Counter(name, help_text, labels, registry=self.registry), Counter)

    def gauge(self, name: str, help_text: str, labels: Sequence[str] = ()) -> Gauge:
        """A value that goes up and down."""
        return self._get(name, lambda: Gauge(name, help_text, labels, registry=self.registry), Gauge)

    def histogram(
        self, name: str, help_text: str, labels: Sequence[str] = (), buckets: Sequence[float] = LATENCY_BUCKETS_S
    ) -> Histogram:
        """Seconds, or another measure, by bucket."""
        return self._get(
            name, lambda: Histogram(name, help_text, labels, buckets=buckets, registry=self.registry), Histogram
        )

    def render(self) -> bytes:
        """The exposition text of everything in this registry."""
        return generate_latest(self.registry)

    def _get(self, name: str, make: Callable[[], M], kind: type[M]) -> M:
        made = self._made.get(name)
        if made is None:
            made = self._made[name] = make()
        if not isinstance(made, kind):
            raise TypeError(f"{name} exists as another kind of metric")
        return made


def unless_down(ask: Callable[[], float]) -> Callable[[], float]:
    """``ask`` for a gauge that is asked at each scrape: unknown, not a failed scrape, while its source is down."""

    def answer() -> float:
        try:
            return ask()
        except Unavailable:
            return UNKNOWN

    return answer
