"""A broker in memory, with the real one's habits and every way its answers go wrong: for simulation and tests.

It fills MARKET orders at once at the last price, LIMIT orders when the price allows, and does what `Faults` says. Time
comes from the clock given; what is placed may show late in the order book, as the real one's does.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from saras_common.charges import DP_CHARGE_PAISE, has_dp_charge, order_charges
from saras_common.clock import Clock, trading_day
from trade_executor.broker import (
    Answer,
    Balances,
    Because,
    BookOrder,
    BrokerUnavailable,
    Guard,
    Listed,
    NewOrder,
    NotAllowed,
    Outcome,
    Quote,
    Trade,
)

FINAL = frozenset({"COMPLETE", "CANCELLED", "REJECTED"})


@dataclass(frozen=True, slots=True)
class Fault:
    """What becomes of one call. ``accepted`` tells whether the order is placed although the answer fails."""

    answer: Answer | None = None
    """Given instead of the truth."""
    accepted: bool = True
    fails_reading: bool = False
    stale: bool = False
    """Orders are shown as they were one reading before the last."""
    rejected_later: bool = False
    fill_part: tuple[int, int] | None = None
    """Numerator and denominator of what fills at once; the rest stays open."""
    hidden_s: float = 0.0
    """How long the order book does not show it."""


UNKNOWN = Answer(Outcome.UNKNOWN, message="no answer")


@dataclass(slots=True)
class PaperOrder:
    """An order in the book."""

    order_id: str
    order: NewOrder
    quantity: int
    price_paise: int
    shows_at: datetime
    status: str = "OPEN"
    filled: int = 0
    value_paise: int = 0
    modified: bool = False
    message: str | None = None
    cap: int | None = None
    trades: list[Trade] = field(default_factory=list)


class PaperBroker:
    """One account. `faults` are used up one a call, by method name."""

    def __init__(self, clock: Clock, *, cash_paise: int = 0) -> None:
        self._clock = clock
        self.cash_paise = cash_paise
        self.prices: dict[str, int] = {}
        self.shares: dict[str, int] = {}
        self.book: dict[str, PaperOrder] = {}
        self.journal: list[tuple[str, str, str | None, int]] = []
        """Every (event, order id, tag, quantity) there ever was: the oracle."""
        self.faults: dict[str, list[Fault]] = {}
        self.logged_in = True
        self.checks_funds = False
        self.listed: list[Listed] = []
        self.on_call: Callable[[str], None] = lambda _name: None
        """Told of each call that reached the broker: where a simulation may crash or look."""
        self.on_guarded: Callable[[str], None] = lambda _name: None
        """Told between the guard's yes and the call: where a process may be stopped for longer than its lease."""
        self._shown: dict[str, BookOrder] = {}
        self._shown_before: dict[str, BookOrder] = {}
        self._trades = 0
        self._dp: set[tuple[str, object]] = set()

    # --- changing calls

    def place(self, order: NewOrder, guard: Guard) -> Answer:
        return self._change("place", guard, lambda fault: self._place(order, fault))

    def modify(self, order_id: str, quantity: int, guard: Guard) -> Answer:
        return self._change("modify", guard, lambda _fault: self._modify(order_id, quantity))

    def cancel(self, order_id: str, guard: Guard) -> Answer:
        return self._change("cancel", guard, lambda _fault: self._cancel(order_id))

    def _change(self, name: str, guard: Guard, act: Callable[[Fault], Answer]) -> Answer:
        fault = self._fault(name)
        if fault.answer is not None and fault.answer.outcome is Outcome.NOT_SENT:
            return fault.answer
        try:
            guard()
        except NotAllowed as error:
            return Answer(Outcome.NOT_SENT, message=str(error))
        self.on_guarded(name)
        if not self.logged_in:
            return Answer(Outcome.NO, because=Because.LOGIN_NEEDED, message="the session has ended")
        if fault.answer is not None and not fault.accepted:
            return fault.answer
        truth = act(fault)
        self.on_call(name)
        return fault.answer or truth

    def _place(self, order: NewOrder, fault: Fault) -> Answer:
        last = self.prices.get(order.instrument)
        if last is None:
            return Answer(Outcome.NO, because=Because.REFUSED, message="unknown instrument")
        if self.checks_funds and order.side == "BUY" and order.quantity * last > self.cash_paise:
            return Answer(Outcome.NO, because=Because.REFUSED, message="insufficient funds")
        number = f"{trading_day(self._clock.now()):%y%m%d}{len(self.book) + 1:013d}"
        paper = PaperOrder(
            number,
            order,
            order.quantity,
            self._limit(order, last),
            self._clock.now() + timedelta(seconds=fault.hidden_s),
        )
        self.book[number] = paper
        self.journal.append(("placed", number, order.tag, order.quantity))
        if fault.rejected_later:
            paper.status, paper.message = "REJECTED", "rejected by the exchange"
            return Answer(Outcome.REGISTERED, number)
        if fault.fill_part is not None:
            paper.cap = order.quantity * fault.fill_part[0] // fault.fill_part[1]
        self._match(paper)
        if order.validity == "IOC" and paper.status not in FINAL:
            paper.status = "CANCELLED"
        return Answer(Outcome.REGISTERED, number)

    def _limit(self, order: NewOrder, last: int) -> int:
        if order.price_paise is not None:
            return order.price_paise
        band = last * (order.protection or 0) // 10_000
        return last + band if order.side == "BUY" else last - band

    def _modify(self, order_id: str, quantity: int) -> Answer:
        paper = self.book.get(order_id)
        if paper is None or paper.status in FINAL or quantity <= paper.filled:
            return Answer(Outcome.NO, because=Because.REFUSED, message="the order cannot be modified")
        paper.quantity, paper.modified = quantity, True
        self.journal.append(("modified", order_id, paper.order.tag, quantity))
        self._match(paper)
        return Answer(Outcome.REGISTERED, order_id)

    def _cancel(self, order_id: str) -> Answer:
        paper = self.book.get(order_id)
        if paper is None or paper.status in FINAL:
            return Answer(Outcome.NO, because=Because.REFUSED, message="the order has ended")
        paper.status = "CANCELLED"
        self.journal.append(("cancelled", order_id, paper.order.tag, paper.quantity - paper.filled))
        return Answer(Outcome.REGISTERED, order_id)

    # --- readings

    def orders(self) -> list[BookOrder]:
        fault = self._read("orders")
        now = self._clock.now()
        rows = {paper.order_id: _row(paper) for paper in self.book.values() if paper.shows_at <= now}
        if fault.stale:
            return [self._shown_before.get(order_id, row) for order_id, row in rows.items()]
        self._shown_before, self._shown = self._shown, rows
        return list(rows.values())

    def trades(self) -> list[Trade]:
        self._read("trades")
        return [trade for paper in self.book.values() for trade in paper.trades]

    def order_trades(self, order_id: str) -> list[Trade]:
        self._read("order_trades")
        return list(self.book[order_id].trades) if order_id in self.book else []

    def balances(self) -> Balances:
        self._read("balances")
        return Balances({name: count for name, count in self.shares.items() if count}, self.cash_paise)

    def quotes(self, instruments: Sequence[str]) -> dict[str, Quote]:
        self._read("quotes")
        return {name: Quote(self.prices[name], self.prices[name]) for name in instruments if name in self.prices}

    def instruments(self) -> list[Listed]:
        self._read("instruments")
        return list(self.listed)

    def _read(self, name: str) -> Fault:
        fault = self._fault(name)
        if not self.logged_in:
            raise BrokerUnavailable("the session has ended", Because.LOGIN_NEEDED)
        if fault.fails_reading:
            raise BrokerUnavailable("no answer")
        return fault

    def _fault(self, name: str) -> Fault:
        waiting = self.faults.get(name)
        return waiting.pop(0) if waiting else Fault()

    # --- the market

    def set_price(self, instrument: str, price_paise: int) -> None:
        """Move a price; orders it reaches fill."""
        self.prices[instrument] = price_paise
        for paper in self.book.values():
            if paper.order.instrument == instrument and paper.status not in FINAL:
                self._match(paper)

    def fill(self, order_id: str, quantity: int, price_paise: int | None = None) -> None:
        """Fill part of an open order, as the market might at any time."""
        paper = self.book[order_id]
        lots = min(quantity, paper.quantity - paper.filled)
        if paper.status not in FINAL and lots > 0:
            self._execute(paper, lots, price_paise or paper.price_paise)

    def release(self, order_id: str) -> None:
        """Lift what a fault held back of an order."""
        self.book[order_id].cap = None
        if self.book[order_id].status not in FINAL:
            self._match(self.book[order_id])

    def _match(self, paper: PaperOrder) -> None:
        last = self.prices[paper.order.instrument]
        reached = last <= paper.price_paise if paper.order.side == "BUY" else last >= paper.price_paise
        if paper.order.trigger_price_paise is not None and paper.filled == 0:
            trigger = paper.order.trigger_price_paise
            reached = reached and (last >= trigger if paper.order.side == "BUY" else last <= trigger)
        top = paper.quantity if paper.cap is None else min(paper.cap, paper.quantity)
        if reached and top > paper.filled:
            self._execute(paper, top - paper.filled, last)
        elif paper.filled == paper.quantity:
            paper.status = "COMPLETE"

    def _execute(self, paper: PaperOrder, lots: int, price_paise: int) -> None:
        order, now = paper.order, self._clock.now()
        self._trades += 1
        value = lots * price_paise
        before = self._charges(order, paper.value_paise, now)
        paper.filled += lots
        paper.value_paise += value
        charges = self._charges(order, paper.value_paise, now) - before
        if has_dp_charge(order.product, order.side) and (order.instrument, trading_day(now)) not in self._dp:
            self._dp.add((order.instrument, trading_day(now)))
            charges += DP_CHARGE_PAISE
        sign = 1 if order.side == "BUY" else -1
        self.shares[order.instrument] = self.shares.get(order.instrument, 0) + sign * lots
        self.cash_paise -= sign * value + charges
        paper.trades.append(
            Trade(str(self._trades), paper.order_id, order.instrument, order.side, order.product, lots, value, now)
        )
        self.journal.append(("fill", paper.order_id, order.tag, lots))
        paper.status = "COMPLETE" if paper.filled == paper.quantity else "OPEN"

    def _charges(self, order: NewOrder, value_paise: int, now: datetime) -> int:
        if not value_paise:
            return 0
        exchange = order.instrument.partition(":")[0]
        return order_charges(exchange, order.product, order.side, value_paise, trading_day(now)).total_paise

    def snapshot(self, order_id: str) -> PaperOrder:
        """A copy of an order as it stands."""
        return replace(self.book[order_id], trades=list(self.book[order_id].trades))


def _row(paper: PaperOrder) -> BookOrder:
    return BookOrder(
        order_id=paper.order_id,
        instrument=paper.order.instrument,
        side=paper.order.side,
        product=paper.order.product,
        status=paper.status,
        quantity=paper.quantity,
        filled=paper.filled,
        tag=paper.order.tag,
        tags=(paper.order.tag,),
        modified=paper.modified,
        message=paper.message,
    )
