"""What the executor shows to Prometheus."""

from saras_common.metrics import Metrics
from trade_executor.domain import BatchState, IntentState
from trade_executor.engine.desk import Watch
from trade_executor.engine.leader import Leader
from trade_executor.store.postgres import PostgresTransactions

LOOK_EVERY_S = 1.0


class ExecutorMetrics(Watch):
    """Counts and times of one account's desk."""

    def __init__(self, metrics: Metrics, account_id: str) -> None:
        self._account = account_id
        self._look_at = 0.0
        self._calls = metrics.counter(
            "saras_broker_calls_total", "Calls to the broker by kind and outcome", ("account", "call", "outcome")
        )
        self._seconds = metrics.histogram("saras_broker_call_seconds", "Time of a broker call", ("account", "call"))
        self._doubts = metrics.counter(
            "saras_intents_resolved_total", "Orders in doubt that were resolved, by how", ("account", "state", "late")
        )
        self._strangers = metrics.counter(
            "saras_strangers_total", "Orders in the account that are not ours", ("account",)
        )
        self._strangers.labels(account_id)  # a series that begins above zero hides its first increase
        self._post_seconds = metrics.histogram(
            "saras_allocation_seconds", "Time to share out and store fills of a block", ("account",)
        )
        self._balanced = metrics.gauge("saras_reconciliation_balanced", "1 when the last one balanced", ("account",))
        self._cash = metrics.gauge("saras_reconciliation_cash_difference_paise", "Unexplained cash", ("account",))
        self._differing = metrics.gauge(
            "saras_reconciliation_instruments_differing", "Instruments with unexplained shares", ("account",)
        )
        self.leading = metrics.gauge("saras_executor_leading", "1 while this process leads the account", ("account",))
        self.waiting = metrics.gauge("saras_window_orders", "Orders in the open window", ("account",))
        self.window_age = metrics.gauge("saras_window_age_seconds", "Age of the open window", ("account",))
        self.intents = metrics.gauge("saras_intents", "Broker orders not finished, by state", ("account", "state"))
        self.tokens = metrics.gauge(
            "saras_order_calls_left", "Order calls left before our own limit", ("account", "window")
        )

    def outcome(self, call: str, kind: str, seconds: float) -> None:
        self._calls.labels(self._account, call, kind).inc()
        self._seconds.labels(self._account, call).observe(seconds)

    def resolved(self, state: IntentState, *, late: bool) -> None:
        self._doubts.labels(self._account, state.value, str(late).lower()).inc()

    def stranger(self, instrument: str) -> None:  # noqa: ARG002 - names of instruments would be a label without end
        self._strangers.labels(self._account).inc()

    def posted(self, orders: int, seconds: float) -> None:  # noqa: ARG002 - the time is what is watched
        self._post_seconds.labels(self._account).observe(seconds)

    def reconciled(self, *, balanced: bool, difference_paise: int, differing: int) -> None:
        self._balanced.labels(self._account).set(int(balanced))
        self._cash.labels(self._account).set(difference_paise)
        self._differing.labels(self._account).set(differing)

    def look(self, transactions: PostgresTransactions, leader: Leader) -> None:
        """Set the gauges, at most once a second; called after a leader's step."""
        desk = leader.desk
        leading = desk.leadership.lease is not None
        self.leading.labels(self._account).set(int(leading))
        if not leading or desk.clock.monotonic() < self._look_at:
            return
        self._look_at = desk.clock.monotonic() + LOOK_EVERY_S
        with transactions() as store:
            batches = store.list_batches(self._account, BatchState.OPEN)
            states = store.count_states(self._account)
        self.waiting.labels(self._account).set(sum(batch.user_orders for batch in batches))
        ages = [(desk.now() - batch.opened_at).total_seconds() for batch in batches if batch.user_orders]
        self.window_age.labels(self._account).set(max(ages, default=0.0))
        for state in IntentState:
            self.intents.labels(self._account, state.value).set(states.get(state.value, 0))
        for window, left in desk.limiter.left(desk.clock.monotonic()).items():
            self.tokens.labels(self._account, window).set(left)
