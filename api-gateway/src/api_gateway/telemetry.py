"""What happened: counters and latencies by route, refusals by reason, and an access log written in batches.

A request adds to plain lists and appends one tuple (1 µs); Prometheus' own objects, which lock on every step, are made
when somebody scrapes, and log lines are formatted and written a few times a second. Queries are never logged, nor are
tokens.
"""

import random
import sys
from bisect import bisect_left
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import orjson
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric

from saras_common.metrics import LATENCY_BUCKETS_S, Metrics

_MAX_WAITING = 20_000
_SERVER_ERROR = 500

Line = tuple[float, str, str, str, int, float, str, str]
"""Unix time, request id, method, path, status, seconds, client address, user id (or empty)."""


class Telemetry:
    """Counts each exchange once, when it is over. A collector of the registry it is given."""

    def __init__(
        self,
        metrics: Metrics,
        *,
        access_log_sample: float = 1.0,
        write: Callable[[bytes], object] = sys.stderr.buffer.write,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._refusals = metrics.counter(
            "saras_gateway_refusals_total", "Requests refused here, by reason", ("reason",)
        )
        self._lost = metrics.counter("saras_gateway_access_lines_lost_total", "Access log lines dropped under load")
        self._counts: dict[tuple[str, str, int], int] = {}
        self._seconds: dict[str, list[float]] = {}
        self._sample = access_log_sample
        self._write = write
        self._chance = chance
        self._waiting: list[Line] = []
        metrics.registry.register(self)

    def exchange(self, route: str, line: Line) -> None:
        """Count one finished exchange and note it for the access log."""
        status, seconds = line[4], line[5]
        key = (route, line[2], status)
        self._counts[key] = self._counts.get(key, 0) + 1
        buckets = self._seconds.get(route)
        if buckets is None:
            buckets = self._seconds[route] = [0.0] * (len(LATENCY_BUCKETS_S) + 2)
        buckets[bisect_left(LATENCY_BUCKETS_S, seconds)] += 1
        buckets[-1] += seconds
        if self._sample < 1 and status < _SERVER_ERROR and self._chance() >= self._sample:
            return
        if len(self._waiting) < _MAX_WAITING:
            self._waiting.append(line)
        else:
            self._lost.inc()

    def refused(self, reason: str) -> None:
        """Count one refusal by its problem code."""
        self._refusals.labels(reason).inc()

    async def flush(self) -> None:
        """Write what waits."""
        if not self._waiting:
            return
        lines, self._waiting = self._waiting, []
        self._write(b"".join(map(_formatted, lines)))

    def collect(self) -> Iterator[Metric]:
        """The counts as Prometheus reads them."""
        requests = CounterMetricFamily(
            "saras_gateway_requests", "Requests by route, method and status", labels=("route", "method", "status")
        )
        for (route, method, status), count in list(self._counts.items()):
            requests.add_metric((route, method, str(status)), count)
        yield requests
        seconds = HistogramMetricFamily("saras_gateway_request_seconds", "Time to answer, by route", labels=("route",))
        for route, counts in list(self._seconds.items()):
            total, buckets = 0.0, []
            for bound, inside in zip((*LATENCY_BUCKETS_S, float("inf")), counts, strict=False):
                total += inside
                buckets.append(("+Inf" if bound == float("inf") else str(bound), total))
            seconds.add_metric((route,), buckets, counts[-1])
        yield seconds


def _formatted(line: Line) -> bytes:
    at, request_id, method, path, status, seconds, client, user = line
    document = {
        "at": datetime.fromtimestamp(at, UTC),
        "level": "info",
        "service": "api-gateway",
        "logger": "access",
        "message": f"{method} {path} {status}",
        "request_id": request_id,
        "status": status,
        "ms": round(seconds * 1000, 2),
        "client": client,
    }
    if user:
        document["user_id"] = user
    return orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z)
