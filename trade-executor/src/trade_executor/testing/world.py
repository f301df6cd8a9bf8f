"""A desk, a paper broker and a book that adds up what it is told: what scenario tests play on."""

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from saras_common.clock import ManualClock
from saras_common.events import (
    AllocationPosted,
    BookTotalled,
    BookTotalsRequested,
    CancelRequested,
    Event,
    OrderAccepted,
    OrderProgressed,
    Side,
    SuspenseFound,
)
from trade_executor.core.windows import Hours, WindowRules
from trade_executor.engine.desk import Desk, DeskRules
from trade_executor.engine.leader import Leader
from trade_executor.engine.leadership import Leadership
from trade_executor.failpoints import Failpoint, nothing
from trade_executor.paper import PaperBroker
from trade_executor.store import Transactions
from trade_executor.store.memory import MemoryDatabase
from trade_executor.usecases import intake

TERMINAL = {"FILLED", "CANCELLED", "REJECTED", "EXPIRED"}


@dataclass
class BookLine:
    """A user's order as the book would have it."""

    quantity: int
    side: str
    filled: int = 0
    value: int = 0
    charges: int = 0
    status: str = "ACCEPTED"
    reason: str | None = None
    settled: bool = False


@dataclass
class Book:
    """The book's side of the events, applied once each by id, in order; asserts what must never happen."""

    lines: dict[UUID, BookLine] = field(default_factory=dict)
    seen: set[UUID] = field(default_factory=set)
    suspense_shares: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    suspense_cash: int = 0
    applied: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    applied_cash: int = 0
    found: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def take(self, order: OrderAccepted) -> None:
        """An order was accepted."""
        self.lines.setdefault(order.order_id, BookLine(order.quantity, order.side))

    def apply(self, event: Event) -> None:
        if event.id in self.seen:
            return
        self.seen.add(event.id)
        if isinstance(event, AllocationPosted):
            self.post(event)
        elif isinstance(event, OrderProgressed):
            self.progress(event)
        elif isinstance(event, SuspenseFound):
            self.found[event.instrument] += event.quantity

    def post(self, event: AllocationPosted) -> None:
        sign = 1 if event.side == "BUY" else -1
        for part in event.allocations:
            line = self.lines[part.order_id]
            assert part.quantity >= 0 or event.kind == "bust"
            if part.quantity > 0:
                assert line.status not in TERMINAL, "a fill reached an order that had ended"
            line.filled += part.quantity
            line.value += part.value_paise
            line.charges += sum(part.charges)
            assert line.filled <= line.quantity
            if line.filled == line.quantity:
                line.status = "FILLED"
            elif part.quantity > 0:
                line.status = "PARTIALLY_FILLED"
            if event.kind == "true_up":
                line.settled = True
        shares = sum(part.quantity for part in event.allocations) + event.suspense_quantity
        value = sum(part.value_paise for part in event.allocations) + event.suspense_value_paise
        charges = sum(sum(part.charges) for part in event.allocations) + event.suspense_charges_paise
        self.suspense_shares[event.instrument] += sign * event.suspense_quantity
        self.suspense_cash += -sign * event.suspense_value_paise - event.suspense_charges_paise
        self.applied[event.instrument] += sign * shares
        self.applied_cash += -sign * value - charges

    def progress(self, event: OrderProgressed) -> None:
        for order_id in event.order_ids:
            line = self.lines[order_id]
            assert line.status not in TERMINAL or event.status not in TERMINAL, "ended twice"
            if line.status not in TERMINAL and not (event.status == "WORKING" and line.filled):
                line.status, line.reason = event.status, event.reason

    def check_end(self) -> list[str]:
        """What a book beneath this one has to say once everything has ended."""
        return []

    def users(self, instrument: str, of: dict[UUID, str]) -> int:
        return sum(
            (line.filled if line.side == "BUY" else -line.filled)
            for order_id, line in self.lines.items()
            if of[order_id] == instrument
        )

    def users_cash(self) -> int:
        return sum((-line.value if line.side == "BUY" else line.value) - line.charges for line in self.lines.values())


class World:
    """One account, one broker, one leader; time moves only when told."""

    def __init__(
        self,
        clock: ManualClock,
        transactions: Transactions,
        drain: Callable[[], Iterable[Event]],
        book: Book | None = None,
        **rules: Any,
    ) -> None:
        self.clock = clock
        self.transactions = transactions
        self._drain = drain
        numbers = itertools.count(1)
        self.new_id: Callable[[], UUID] = lambda: UUID(int=next(numbers))
        self.broker = PaperBroker(clock)
        self.broker.prices.update({"NSE:INFY": 150_000, "NSE:TCS": 320_055})
        self.rules = DeskRules(
            **{"window": WindowRules(10, 1000), "hours": Hours(always=True), "moves_cash": True, **rules}
        )
        self.told: list[Event] = []
        self.book = book or Book()
        self.again: Callable[[], bool] = lambda: False
        """Whether the bus delivers an event once more."""
        self.later: Callable[[Event], bool] = lambda _event: False
        """Whether an event is overtaken by those after it."""
        self._waiting: list[Event] = []
        self.instrument_of: dict[UUID, str] = {}
        self.failpoint: Failpoint = nothing
        self.leader = self.new_leader()
        with self.transactions() as store:
            store.ensure_account("main")
        self.log_in()

    def log_in(self) -> None:
        self.broker.logged_in = True
        with self.transactions() as store:
            store.save_session("main", b"token", self.clock.now() + timedelta(hours=12))

    def new_leader(self, holder: UUID | None = None) -> Leader:
        """A leader of another process, or this one started afresh."""
        leadership = Leadership("main", holder or self.new_id(), self.transactions, self.clock, ttl_s=2.0, grace_s=3.0)
        desk = Desk(
            "main",
            self.transactions,
            self.clock,
            self.rules,
            leadership,
            self.new_id,
            lambda _session: self.broker,
            failpoint=self._reached,
        )
        return Leader(desk)

    def _reached(self, name: str) -> None:
        self.failpoint(name)

    def order(
        self, quantity: int = 10, *, side: Side = "BUY", instrument: str = "NSE:INFY", **fields: Any
    ) -> OrderAccepted:
        price = self.broker.prices[instrument]
        kind = fields.pop("order_type", "MARKET")
        cap = price * 103 // 100 if side == "BUY" and kind in {"MARKET", "SL-M"} else fields.get("price_paise")
        order = OrderAccepted(
            id=self.new_id(),
            at=self.clock.now(),
            order_id=self.new_id(),
            user_id=fields.pop("user_id", None) or self.new_id(),
            account_id="main",
            instrument=instrument,
            side=side,
            order_type=kind,
            product=fields.pop("product", "CNC"),
            validity=fields.pop("validity", "DAY"),
            quantity=quantity,
            cap_price_paise=fields.pop("cap_price_paise", cap),
            **fields,
        )
        self.instrument_of[order.order_id] = instrument
        return order

    def take(self, *orders: OrderAccepted) -> None:
        """Orders come in from the book."""
        for order in orders:
            self.book.take(order)
        with self.transactions() as store:
            intake.take_orders(store, orders, now=self.clock.now(), rules=self.rules.window, new_id=self.new_id)

    def cancel(self, *orders: OrderAccepted) -> None:
        requests = [
            CancelRequested(id=self.new_id(), at=self.clock.now(), order_id=order.order_id, account_id="main")
            for order in orders
        ]
        with self.transactions() as store:
            intake.request_cancels(store, requests)

    def run(self, seconds: float) -> None:
        """Let time pass with the leader at work."""
        until = self.clock.monotonic() + seconds
        while True:
            wait = self.leader.step()
            self.leader.desk.leadership.renew()
            self.hear()
            left = until - self.clock.monotonic()
            if left <= 0:
                return
            self.clock.advance(min(max(wait, 0.01), 0.5, left))

    def hear(self) -> bool:
        """The book takes in what it was told, and answers what it was asked; whether it answered."""
        answered = False
        fresh = list(self._drain())
        overtaken = [event for event in fresh if self.later(event)]
        delivered = [event for event in fresh if event not in overtaken] + self._waiting
        self._waiting = overtaken
        for event in delivered:
            self.told.append(event)
            self.book.apply(event)
            if self.again():
                self.book.apply(event)
            if isinstance(event, BookTotalsRequested):
                self._answer(event)
                answered = True
        return answered

    def _answer(self, asked: BookTotalsRequested) -> None:
        names = set(self.instrument_of.values())
        suspense = dict(self.book.suspense_shares)
        for name, quantity in self.book.found.items():
            suspense[name] = suspense.get(name, 0) + quantity
        totals = BookTotalled(
            at=self.clock.now(),
            reconciliation_id=asked.reconciliation_id,
            account_id="main",
            users={name: self.book.users(name, self.instrument_of) for name in names},
            suspense=suspense,
            applied=dict(self.book.applied),
            users_cash_paise=self.book.users_cash(),
            suspense_cash_paise=self.book.suspense_cash,
            applied_cash_paise=self.book.applied_cash,
            external_cash_paise=0,
        )
        with self.transactions() as store:
            store.answer_reconciliation(totals)

    def line(self, order: OrderAccepted) -> BookLine:
        return self.book.lines[order.order_id]

    def statuses(self, *orders: OrderAccepted) -> list[str]:
        return [self.line(order).status for order in orders]

    def assert_balanced(self) -> None:
        """Book + suspense = broker, in shares and in cash; every tag at the broker once."""
        names = set(self.instrument_of.values())
        for name in names:
            users = self.book.users(name, self.instrument_of)
            assert users + self.book.suspense_shares[name] == self.broker.shares.get(name, 0)
        assert self.book.users_cash() + self.book.suspense_cash == self.broker.cash_paise
        tags = [tag for event, _, tag, _ in self.broker.journal if event == "placed"]
        assert len(tags) == len(set(tags))


def in_memory(
    clock: ManualClock, database: MemoryDatabase | None = None, book: Book | None = None, **rules: Any
) -> World:
    """A world whose store is a dictionary."""
    database = database or MemoryDatabase(clock)
    told = 0

    def drain() -> list[Event]:
        nonlocal told
        fresh = database.outbox[told:]
        told = len(database.outbox)
        return fresh

    return World(clock, database.transaction, drain, book, **rules)
