"""This service's own metrics."""

from saras_common.metrics import Metrics


class ServiceMetrics:
    """Counters of one process."""

    def __init__(self, metrics: Metrics) -> None:
        self._trades = metrics.counter(
            "saras_analytics_trades_total", "Trades that reached the pipeline, by outcome", ("outcome",)
        )

    def count_trades(self, stored: int, rejected: int) -> None:
        """A delivery's trades: stored, and set aside."""
        self._trades.labels("stored").inc(stored)
        self._trades.labels("rejected").inc(rejected)
