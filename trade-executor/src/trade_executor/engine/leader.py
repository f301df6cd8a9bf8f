"""One step of an account's leader: cancellations, windows, plans, sends, cuts, readings, reconciliation, in this order.

Started afresh it first doubts whatever was being sent, reads the broker and takes in what it finds; only then it
sends.
"""

import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from saras_common.clock import trading_day
from trade_executor.broker import BrokerUnavailable
from trade_executor.core.limiter import MINUTE, SECOND, Limiter
from trade_executor.domain import BatchState, BrokerSession, Intent, IntentState
from trade_executor.engine.desk import Desk
from trade_executor.engine.reader import Reader, Throttled
from trade_executor.engine.sender import Sender
from trade_executor.store import LeaseLost
from trade_executor.usecases import cancelling, following, planning, reconciling
from trade_executor.usecases.sending import note_login_needed

_log = logging.getLogger(__name__)

FIRST_TRY_S = 0.1

THROTTLED_S = 0.5
"""Before reading again when this second was used up."""

BALANCES_REQUESTS = 3
"""Holdings, positions, cash."""

READINGS_OF_A_TURN = 7
"""What a reconciliation may read: the order book and trades before and after, holdings, positions and cash."""

CONFIRM_S = reconciling.CONFIRM_AFTER.total_seconds() + 0.5
"""After a difference the next reconciliation comes so soon."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a step found to do."""

    session: BrokerSession | None
    wait_s: float | None
    """Until the open window closes by itself."""
    planned: list[Intent]
    frozen: list[UUID]
    contested: list[UUID]
    wants_reconciliation: bool


class Leader:
    """Leads one account while it holds the lease. ``step`` never blocks longer than one call to the broker."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._sender = Sender(desk)
        self._reader = Reader(desk)
        self._recovered = False
        self._read_at = 0.0
        self._pause_s = desk.rules.quick_poll_s
        self._reconcile_at = 0.0
        self._day = trading_day(desk.now())

    def hint(self) -> None:
        """Something at the broker changed: read soon."""
        self._read_at = 0.0
        self._pause_s = self.desk.rules.quick_poll_s

    def step(self) -> float:
        """Do what can be done now; seconds until there may be more without anybody waking us."""
        desk = self.desk
        if desk.leadership.lease is None:
            self._recovered = False
            if desk.leadership.acquire() is None:
                return FIRST_TRY_S
            self._take_over()
        try:
            return self._work()
        except LeaseLost:
            _log.warning("account %s: the lease is lost", desk.account_id)
            desk.leadership.lose()
            return FIRST_TRY_S
        except BaseException:
            desk.leadership.lose()  # whatever stands half done is doubted by the next leader, perhaps ourselves
            raise

    def _take_over(self) -> None:
        desk = self.desk
        desk.failpoint("lease_taken")
        now = desk.now()
        midnight = now - timedelta(hours=24)
        with desk.transaction() as store:
            doubted = following.doubt_everything(store, desk.account_id, now=now)
            calls = store.list_calls(desk.account_id, midnight)
        for intent in doubted:
            _log.warning("order %s may have been placed by an earlier leader", intent.tag)
        today = [at for at in calls if trading_day(at) == trading_day(now)]
        recent = [(now - at).total_seconds() for at in calls if (now - at).total_seconds() < MINUTE]
        monotonic = desk.clock.monotonic()
        desk.limiter = Limiter(desk.rules.limits, today=len(today), recent=[monotonic - age for age in recent])
        self._reader = Reader(desk)
        self._read_at = 0.0

    def _work(self) -> float:
        desk = self.desk
        self._roll_day()
        look = self._look()
        self._connect(look.session)
        if not self._recovered:
            self._recovered = desk.broker is None or self._read()
        waits = [look.wait_s]
        if self._recovered and look.planned and self._mirror():
            waits.append(self._send(look.planned))
        waits.append(self._sender.cut(look.frozen, look.contested))
        if desk.broker is not None and desk.clock.monotonic() >= self._read_at:
            self._read()
        if desk.broker is not None:
            waits.append(self._reconcile(wanted=look.wants_reconciliation))
            waits.append(max(0.0, self._read_at - desk.clock.monotonic()))
        return min((wait for wait in waits if wait is not None), default=desk.rules.idle_poll_s)

    def _look(self) -> Look:
        """Everything that is decided without the broker, in one transaction: cancellations, windows, answers."""
        desk = self.desk
        now = desk.now()
        with desk.transaction() as store:
            session = store.find_session(desk.account_id)
            if session is not None and session.expires_at <= now:
                note_login_needed(store, desk.account_id, session.version, now=now)
                session = None
            cancelled = cancelling.apply_cancels(store, desk.account_id, now=now)
            wake_at = planning.close_due(
                store, desk.account_id, now=now, rules=desk.rules.window, hours=desk.rules.hours
            )
            closed = store.list_batches(desk.account_id, BatchState.CLOSED)
            finished = [
                reconciling.finish_reconciliation(store, asked, now=now)
                for asked in store.list_answered(desk.account_id)
            ]
            look = Look(
                session=session,
                wait_s=None if wake_at is None else max(0.0, (wake_at - now).total_seconds()),
                planned=store.list_planned(desk.account_id),
                frozen=store.list_frozen(desk.account_id),
                contested=store.list_contested(desk.account_id),
                wants_reconciliation=session is not None and store.take_reconciliation_request(desk.account_id),
            )
        if cancelled:
            desk.failpoint("cancels_applied")
        for report in finished:
            desk.failpoint("reconciliation_finished")
            if report.differences:
                self._reconcile_at = min(self._reconcile_at, desk.clock.monotonic() + CONFIRM_S)
            desk.watch.reconciled(
                balanced=report.balanced, difference_paise=report.cash.difference, differing=len(report.differences)
            )
        return self._plan(look) if closed else look

    def _plan(self, look: Look) -> Look:
        desk = self.desk
        desk.failpoint("window_closed")
        with desk.transaction() as store:
            planning.plan_batches(store, desk.account_id, now=desk.now(), new_id=desk.new_id)
            planned = store.list_planned(desk.account_id)
        desk.failpoint("batch_planned")
        return replace(look, planned=planned)

    def _connect(self, session: BrokerSession | None) -> None:
        """Have a client of the session in force, or none."""
        desk = self.desk
        if session is None:
            desk.broker = None
        elif desk.broker is None or desk.session_version != session.version:
            desk.broker = desk.connect(session)
            desk.session_version = session.version
            self._recovered = False
            self._read_at = 0.0

    def _roll_day(self) -> None:
        today = trading_day(self.desk.now())
        if today != self._day:
            self._day = today
            self.desk.limiter.new_day()

    def _mirror(self) -> bool:
        """Move the sandbox account's cash by what users brought or took; false while that does not work."""
        desk = self.desk
        if desk.mirror is None:
            return True
        while True:
            with desk.transaction() as store:
                group = store.group_unmirrored(desk.account_id)
            if group is None:
                return True
            reference, amount_paise = group
            if not desk.mirror(amount_paise, reference):
                return False
            desk.failpoint("funds_mirrored")
            with desk.transaction() as store:
                store.mirrored(reference)

    def _send(self, planned: list[Intent]) -> float | None:
        if not self.desk.rules.hours.is_open(self.desk.now()):
            return None
        sent = self._sender.send_planned(planned)
        if sent.doubtful:
            self.hint()
        elif sent.placed:
            self._pause_s = self.desk.rules.quick_poll_s
            self._read_at = min(self._read_at, self.desk.clock.monotonic() + self._pause_s)
            try:
                self._reader.read_fills()
            except (BrokerUnavailable, Throttled) as error:
                _log.info("account %s: no trades read: %s", self.desk.account_id, error)
        return sent.wait_s

    def _read(self) -> bool:
        """Read the order book and decide when next; whether the reading was good."""
        desk = self.desk
        try:
            changed = self._reader.read_book()
        except (BrokerUnavailable, Throttled) as error:
            _log.info("account %s: no reading: %s", desk.account_id, error)
            self._read_at = desk.clock.monotonic() + (
                THROTTLED_S if isinstance(error, Throttled) else desk.rules.quick_poll_s
            )
            return False
        with desk.transaction() as store:
            doubts = store.list_unresolved(desk.account_id, desk.now())
            resting = store.list_unsettled(desk.account_id)
        rules = desk.rules
        if changed:
            self._pause_s = rules.quick_poll_s
        elif any(intent.state is IntentState.UNKNOWN for intent in doubts):
            self._pause_s = min(self._pause_s * 1.5, rules.doubt_poll_s)
        elif resting:
            self._pause_s = min(self._pause_s * 1.5, rules.slow_poll_s)
        else:
            self._pause_s = rules.idle_poll_s
        self._read_at = desk.clock.monotonic() + self._pause_s
        return True

    def _reconcile(self, *, wanted: bool) -> float | None:
        """Begin a reconciliation when one is due or asked for."""
        desk = self.desk
        monotonic = desk.clock.monotonic()
        if not wanted and monotonic < self._reconcile_at:
            return self._reconcile_at - monotonic
        try:
            self._ask_for_totals()
        except (BrokerUnavailable, Throttled) as error:
            _log.info("account %s: no reconciliation now: %s", desk.account_id, error)
            self._reconcile_at = monotonic + THROTTLED_S
            self._read_at = max(self._read_at, monotonic + SECOND)  # or ordinary readings would never leave it room
            return THROTTLED_S
        self._reconcile_at = monotonic + desk.rules.reconcile_every_s
        return desk.rules.reconcile_every_s

    def _ask_for_totals(self) -> None:
        """Read what the broker holds while no fill comes in: the same trades known before and after."""
        desk = self.desk
        if desk.broker is None:
            return
        if not self._reader.has_room(READINGS_OF_A_TURN):
            raise Throttled("other readings come first")
        for _ in range(2):
            self._reader.read_book()
            self._reader.read_fills()
            balances = self._reader.call(desk.broker.balances, requests=BALANCES_REQUESTS)
            if not self._reader.read_book() | self._reader.read_fills():
                break
        else:
            raise Throttled("fills kept coming in")
        with desk.transaction() as store:
            reconciling.begin_reconciliation(
                store, desk.account_id, balances, moves_cash=desk.rules.moves_cash, now=desk.now(), new_id=desk.new_id
            )
        desk.failpoint("reconciliation_asked")
