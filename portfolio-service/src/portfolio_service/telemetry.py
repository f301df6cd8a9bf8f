"""What the book shows on /metrics."""

from portfolio_service.usecases.postings import Posted
from saras_common.metrics import Metrics


class BookMetrics:
    """Counters of the posting side, and the standing check of the ledger."""

    def __init__(self, metrics: Metrics) -> None:
        self._states = metrics.counter("saras_book_orders_total", "Orders by the state they reached", ("status",))
        self._allocations = metrics.counter("saras_book_allocations_total", "Parts of fills posted into the ledger")
        self._unclaimed = metrics.counter(
            "saras_book_unclaimed_total", "Parts of fills that no order could take; they are in suspense"
        )
        self._shortfall = metrics.counter(
            "saras_book_shortfall_paise_total", "Paise that suspense paid because a user could not: look at it"
        )
        self.imbalance = metrics.gauge(
            "saras_book_imbalance_paise", "Sum of all balances over all assets, absolute: anything but 0 is an alarm"
        )

    def count(self, posted: Posted) -> None:
        """Add what one delivery came to. It may count twice if the delivery's transaction is undone and repeated."""
        self._allocations.inc(posted.allocations)
        self._unclaimed.inc(posted.unclaimed)
        self._shortfall.inc(posted.shortfall_paise)
        for status, orders in posted.states.items():
            self._states.labels(status).inc(orders)

    def count_accepted(self, orders: int) -> None:
        """Add orders accepted."""
        self._states.labels("ACCEPTED").inc(orders)
