"""What the parts of one account's leader share: its broker, its limits, its transactions."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from saras_common.clock import Clock
from saras_common.ids import NewId
from trade_executor.broker import Broker
from trade_executor.core.intents import AbsenceRule
from trade_executor.core.limiter import READ_LIMITS, Limiter, Limits
from trade_executor.core.windows import Hours, WindowRules
from trade_executor.domain import BrokerSession, IntentState
from trade_executor.engine.leadership import Leadership
from trade_executor.failpoints import Failpoint, nothing
from trade_executor.store import Store, Transactions
from trade_executor.usecases.sending import SendRules, note_login_needed


@dataclass(frozen=True, slots=True)
class DeskRules:
    """How one account is worked. Seconds."""

    window: WindowRules
    hours: Hours
    absence: AbsenceRule = field(default_factory=AbsenceRule)
    send: SendRules = field(default_factory=SendRules)
    limits: Limits = field(default_factory=Limits)
    quick_poll_s: float = 0.2
    """Between readings while something just happened."""
    slow_poll_s: float = 2.0
    """Between readings while orders rest at the broker."""
    doubt_poll_s: float = 1.0
    """Between readings while an order is in doubt."""
    idle_poll_s: float = 15.0
    """Between readings that only look for strangers."""
    reconcile_every_s: float = 300.0
    moves_cash: bool = False
    """Whether deposits move the broker account through us (the sandbox)."""


class Watch:
    """What the desk tells the metrics; the default hears nothing."""

    def outcome(self, call: str, kind: str, seconds: float) -> None:
        """A call to the broker ended."""

    def resolved(self, state: IntentState, *, late: bool) -> None:
        """An order in doubt was found or declared absent."""

    def stranger(self, instrument: str) -> None:
        """Something in the account is not ours."""

    def posted(self, orders: int, seconds: float) -> None:
        """Fills were shared out."""

    def reconciled(self, *, balanced: bool, difference_paise: int, differing: int) -> None:
        """A reconciliation was finished."""


@dataclass
class Desk:
    """One account's work place. Not shared between threads, but for ``leadership``."""

    account_id: str
    transactions: Transactions
    clock: Clock
    rules: DeskRules
    leadership: Leadership
    new_id: NewId
    connect: Callable[[BrokerSession], Broker]
    """A broker client for a session."""
    mirror: Callable[[int, str], bool] | None = None
    """Moves the sandbox account's cash by paise, once per reference."""
    failpoint: Failpoint = nothing
    watch: Watch = field(default_factory=Watch)
    broker: Broker | None = None
    session_version: int = 0
    limiter: Limiter = field(default_factory=lambda: Limiter(Limits()))
    reads: Limiter = field(default_factory=lambda: Limiter(READ_LIMITS))

    @contextmanager
    def transaction(self) -> Iterator[Store]:
        """A transaction of the leader: fenced by its lease."""
        lease = self.leadership.get_lease()
        with self.transactions() as store:
            store.fence(lease)
            yield store

    def now(self) -> datetime:
        return self.clock.now()

    def guard(self) -> None:
        """The last look before bytes leave."""
        self.failpoint("before_send")
        self.leadership.guard()
        self.failpoint("lease_checked")

    def login_refused(self) -> None:
        """The broker no longer takes our session: forget the client until there is another."""
        with self.transaction() as store:
            note_login_needed(store, self.account_id, self.session_version, now=self.now())
        self.broker = None
