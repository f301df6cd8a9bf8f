"""What the executor asks of a broker. `kite` speaks to Kite or the sandbox, `paper` simulates; one contract suite."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

Guard = Callable[[], None]
"""Called right before the bytes leave; raises when this process may no longer send."""


class NotAllowed(Exception):
    """The guard refused: the call did not leave."""


class Outcome(StrEnum):
    """What happened to a call that changes something, by what was seen on the wire."""

    REGISTERED = "registered"
    """The broker answered with the order's id."""
    NO = "no"
    """A definite no: nothing was placed or changed."""
    NOT_SENT = "not_sent"
    """It never left: safe to try again."""
    UNKNOWN = "unknown"
    """It may have happened."""


class Because(StrEnum):
    """Why a definite no, where it matters."""

    REFUSED = "refused"
    TOO_MANY = "too_many"
    LOGIN_NEEDED = "login_needed"


@dataclass(frozen=True, slots=True)
class Answer:
    """``order_id`` with REGISTERED; ``because`` with NO; ``message`` for people."""

    outcome: Outcome
    order_id: str | None = None
    because: Because | None = None
    message: str = ""


class BrokerUnavailable(Exception):
    """A reading failed: nothing is known from it. ``because`` when the broker gave a reason that matters."""

    def __init__(self, message: str, because: Because | None = None) -> None:
        super().__init__(message)
        self.because = because


@dataclass(frozen=True, slots=True)
class NewOrder:
    """An order to place. ``protection`` in hundredths of a percent, with MARKET and SL-M."""

    tag: str
    instrument: str
    side: str
    product: str
    order_type: str
    validity: str
    quantity: int
    price_paise: int | None = None
    trigger_price_paise: int | None = None
    protection: int | None = None


@dataclass(frozen=True, slots=True)
class BookOrder:
    """A row of the broker's order book."""

    order_id: str
    instrument: str
    side: str
    product: str
    status: str
    quantity: int
    filled: int
    tag: str | None = None
    tags: tuple[str, ...] = ()
    modified: bool = False
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Trade:
    """One execution; ``value_paise`` is quantity × price, rounded half up when the price has part paise."""

    trade_id: str
    order_id: str
    instrument: str
    side: str
    product: str
    quantity: int
    value_paise: int
    traded_at: datetime


@dataclass(frozen=True, slots=True)
class Balances:
    """What the account holds: shares by instrument, every product together, and cash before blocks."""

    shares: Mapping[str, int]
    cash_paise: int


@dataclass(frozen=True, slots=True)
class Quote:
    """Last price and the previous session's close, in paise."""

    last_paise: int
    close_paise: int | None


@dataclass(frozen=True, slots=True)
class Listed:
    """A row of the broker's instrument list."""

    instrument: str
    token: int
    name: str
    tick_paise: int
    lot_size: int
    kind: str


class Broker(Protocol):
    """One account at a broker. Changing calls never raise but `NotAllowed`; readings raise `BrokerUnavailable`."""

    def place(self, order: NewOrder, guard: Guard) -> Answer:
        """Place ``order`` once."""

    def modify(self, order_id: str, quantity: int, guard: Guard) -> Answer:
        """Make an order alive stand for ``quantity`` lots in all, filled ones included."""

    def cancel(self, order_id: str, guard: Guard) -> Answer:
        """Cancel what is open of an order."""

    def orders(self) -> list[BookOrder]:
        """The whole order book of the day."""

    def trades(self) -> list[Trade]:
        """Every trade of the day."""

    def order_trades(self, order_id: str) -> list[Trade]:
        """The trades of one order."""

    def balances(self) -> Balances:
        """Shares and cash."""


class MarketData(Protocol):
    """Prices and the instrument list."""

    def quotes(self, instruments: Sequence[str]) -> dict[str, Quote]:
        """Last prices of up to 500 instruments; unknown ones are left out."""

    def instruments(self) -> list[Listed]:
        """Everything that can be traded."""
