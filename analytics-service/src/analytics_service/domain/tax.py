"""Tax lots: first in, first out, each sale matched to what it sold, with the term it was held for.

Costs are whole paise: a part of a lot takes its share rounded, the last part takes the rest, so nothing is lost.
Charges are not in them. Splits and bonuses are not applied.
"""

from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum

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


def match_fifo(trades: Iterable[LotTrade]) -> TaxLots:
    """Match the trades of one user, in any order: by time and trade id, per instrument and product.

    A trade that closes more than there is opens a lot of the other side with the rest, at its own price.
    """
    closed: list[ClosedLot] = []
    books: dict[tuple[str, str], deque[OpenLot]] = defaultdict(deque)
    for trade in sorted(trades, key=lambda one: (one.traded_at, one.trade_id)):
        closed += _apply(trade, books[trade.instrument, trade.product])
    left = sorted((lot for lots in books.values() for lot in lots), key=lambda one: (one.opened_on, one.trade_id))
    return TaxLots(tuple(closed), tuple(left))


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
