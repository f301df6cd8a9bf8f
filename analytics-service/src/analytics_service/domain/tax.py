"""Tax lots: first in, first out, each sale matched to what it sold, with the term it was held for.

Costs are whole paise: a part of a lot takes its share rounded, the last part takes the rest, so nothing is lost.
Charges are not in them. A split multiplies the shares of open lots and leaves what they cost; a bonus adds a lot that
cost nothing and is held from its allotment, for which the ex-day stands (Income-tax Act 1961, section 55 (2) (aa) and
section 2 (42A)). Both give whole shares, a fraction is lost to the lots: companies pay it out in cash. The values of 31
January 2018 that older lots may be taxed on (grandfathering, section 112A) are not known here.
"""

import math
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from saras_common.money import round_half_up


class Term(StrEnum):
    """How long a closed lot was held, as listed Indian equity is taxed: long is more than twelve months."""

    INTRADAY = "intraday"
    SHORT = "short_term"
    LONG = "long_term"


@dataclass(frozen=True, slots=True)
class LotTrade:
    """What one order (or one execution) traded on one day, corrections in it: ``quantity`` > 0 bought, < 0 sold."""

    trade_id: str
    instrument: str
    traded_at: datetime
    traded_on: date
    """Session date (India)."""
    quantity: int
    value_paise: int
    """≥ 0, without charges."""
    product: str = "CNC"


class ActionKind(StrEnum):
    """What a company did to its shares."""

    SPLIT = "split"
    BONUS = "bonus"


@dataclass(frozen=True, slots=True)
class Action:
    """From ``ex_day`` on one old share is ``ratio`` new ones."""

    instrument: str
    ex_day: date
    ratio: Decimal
    kind: ActionKind

    @property
    def fraction(self) -> Fraction:
        """The ratio as it was meant: "1.3333" is four for three."""
        return Fraction(self.ratio).limit_denominator(1000)


@dataclass(frozen=True, slots=True)
class ClosedLot:
    """Part of a purchase matched with part of a sale. ``gain_paise`` = ``proceeds_paise`` − ``cost_paise``."""

    instrument: str
    product: str
    quantity: int
    bought_on: date
    sold_on: date
    cost_paise: int
    proceeds_paise: int
    term: Term
    buy_trade_id: str
    sell_trade_id: str

    @property
    def gain_paise(self) -> int:
        return self.proceeds_paise - self.cost_paise


@dataclass(frozen=True, slots=True)
class OpenLot:
    """What is left of one purchase (or short sale: ``quantity`` < 0). ``cost_paise`` ≥ 0 is of what is left."""

    instrument: str
    product: str
    quantity: int
    opened_on: date
    cost_paise: int
    trade_id: str


@dataclass(frozen=True, slots=True)
class TaxLots:
    """Closed lots in order of the closing trade, and open lots in order of opening."""

    closed: tuple[ClosedLot, ...]
    open: tuple[OpenLot, ...]

    def gains_paise(self, term: Term) -> int:
        """Sum of gains of one term."""
        return sum(lot.gain_paise for lot in self.closed if lot.term is term)


def match_fifo(trades: Iterable[LotTrade], actions: Iterable[Action] = ()) -> TaxLots:
    """Match the trades of one user, in any order: by time and trade id, per instrument and product.

    A trade that closes more than there is opens a lot of the other side with the rest, at its own price. ``actions``
    come before the trades of their day.
    """
    closed: list[ClosedLot] = []
    books: dict[tuple[str, str], deque[OpenLot]] = defaultdict(deque)
    due = deque(sorted(actions, key=lambda one: (one.ex_day, one.instrument)))
    for trade in sorted(trades, key=lambda one: (one.traded_at, one.trade_id)):
        while due and due[0].ex_day <= trade.traded_on:
            _act(due.popleft(), books)
        closed += _apply(trade, books[trade.instrument, trade.product])
    for action in due:
        _act(action, books)
    left = sorted((lot for lots in books.values() for lot in lots), key=lambda one: (one.opened_on, one.trade_id))
    return TaxLots(tuple(closed), tuple(left))


def _act(action: Action, books: Mapping[tuple[str, str], deque[OpenLot]]) -> None:
    for (instrument, product), lots in books.items():
        if instrument != action.instrument or not lots:
            continue
        held = sum(lot.quantity for lot in lots)
        if action.kind is ActionKind.SPLIT or held < 0:
            _split(lots, action.fraction)
        elif more := math.floor(held * action.fraction) - held:
            note = f"bonus {action.ex_day.isoformat()}"
            lots.append(OpenLot(instrument, product, more, action.ex_day, 0, note))


def _split(lots: deque[OpenLot], ratio: Fraction) -> None:
    """Every lot its part of the whole shares there now are, at the cost it had."""
    before = after = 0
    for number, lot in enumerate(lots):
        before += abs(lot.quantity)
        part = math.floor(before * ratio) - after
        after += part
        lots[number] = replace(lot, quantity=part if lot.quantity > 0 else -part)
    for lot in [lot for lot in lots if not lot.quantity]:  # a consolidation may leave less than one share of a lot
        lots.remove(lot)


def _apply(trade: LotTrade, lots: deque[OpenLot]) -> list[ClosedLot]:
    """Close what the trade closes, first lot first, and open a lot with what is left of it."""
    closed = []
    quantity, value = trade.quantity, trade.value_paise
    while quantity and lots and (lots[0].quantity > 0) != (quantity > 0):
        lot = lots[0]
        part = min(abs(quantity), abs(lot.quantity))
        part_value = round_half_up(value * part, abs(quantity))
        part_cost = round_half_up(lot.cost_paise * part, abs(lot.quantity))
        closed.append(_closed(lot, trade, part, part_cost, part_value))
        sign = 1 if quantity > 0 else -1
        quantity, value = quantity - sign * part, value - part_value
        rest = lot.quantity + sign * part
        lots[0] = replace(lot, quantity=rest, cost_paise=lot.cost_paise - part_cost)
        if not rest:
            lots.popleft()
    if quantity:
        lots.append(OpenLot(trade.instrument, trade.product, quantity, trade.traded_on, value, trade.trade_id))
    return closed


def _closed(lot: OpenLot, trade: LotTrade, quantity: int, opened_paise: int, closed_paise: int) -> ClosedLot:
    """The matched part; of a short sale the purchase came second."""
    term = term_of(lot.opened_on, trade.traded_on)
    if lot.quantity > 0:
        bought_on, cost, buyer = lot.opened_on, opened_paise, lot.trade_id
        sold_on, proceeds, seller = trade.traded_on, closed_paise, trade.trade_id
    else:
        bought_on, cost, buyer = trade.traded_on, closed_paise, trade.trade_id
        sold_on, proceeds, seller = lot.opened_on, opened_paise, lot.trade_id
    return ClosedLot(
        lot.instrument, lot.product, quantity, bought_on, sold_on, cost, proceeds, term, buyer, seller
    )  # fmt: skip


def term_of(opened_on: date, closed_on: date) -> Term:
    """Long from the day after the first anniversary (of 29 February: of the 28th)."""
    if opened_on == closed_on:
        return Term.INTRADAY
    leap_day = opened_on.month == 2 and opened_on.day == 29  # noqa: PLR2004 - 29 February
    anniversary = opened_on.replace(year=opened_on.year + 1, day=28 if leap_day else opened_on.day)
    return Term.LONG if closed_on > anniversary else Term.SHORT
