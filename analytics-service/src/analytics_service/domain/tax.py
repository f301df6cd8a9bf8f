"""Tax lots: first in, first out, each sale matched to what it sold, with the term it was held for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum


class Term(StrEnum):
    """How long a closed lot was held, as listed Indian equity is taxed."""

    INTRADAY = "intraday"
    SHORT = "short_term"
    LONG = "long_term"


@dataclass(frozen=True, slots=True)
class LotTrade:
    """One execution. ``quantity`` > 0 bought, < 0 sold; ``value_paise`` ≥ 0 without charges."""

    trade_id: str
    instrument: str
    traded_at: datetime
    traded_on: date
    """Session date (India)."""
    quantity: int
    value_paise: int
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


def match_fifo(trades: Sequence[LotTrade]) -> TaxLots:
    """Match trades of one user, any order and any instruments; by time, then trade id, per instrument and product."""
    raise NotImplementedError
