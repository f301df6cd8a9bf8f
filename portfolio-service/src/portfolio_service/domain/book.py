"""The pieces of the book that a delivery from the executor changes, as held in memory while it is applied.

Ids are text here: the hot path meets thousands of them and only compares and copies them.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import NamedTuple

from portfolio_service.domain.orders import Status, follows
from portfolio_service.domain.positions import Average, Lot


class ShelfKey(NamedTuple):
    """Where shares lie."""

    user_id: str
    portfolio_id: str
    instrument: str
    product: str


class Note(NamedTuple):
    """One line of an order's timeline."""

    at: datetime
    status: Status
    note: str | None


@dataclass(slots=True)
class Order:
    """An order as far as fills and news change it; its shares come from or go to ``shelf``.

    ``charges`` is paise in the order of `charges.KINDS`.
    """

    id: str
    account_id: str
    shelf: ShelfKey
    side: str
    quantity: int
    status: Status
    status_reason: str | None
    filled_quantity: int
    filled_paise: int
    charges: list[int]
    hold_paise: int
    hold_quantity: int
    basket_id: str | None
    batch_id: str | None
    settled_block_id: str | None
    notes: list[Note] = field(default_factory=list)
    changed: bool = False

    @property
    def user_id(self) -> str:
        """Whose order it is."""
        return self.shelf.user_id

    def turn(self, wanted: Status, at: datetime, reason: str | None = None) -> bool:
        """Move to ``wanted`` if the table has that move; whether it did."""
        if not follows(self.status, wanted):
            return False
        self.status = wanted
        self.status_reason = reason
        self.notes.append(Note(at, wanted, reason))
        self.changed = True
        return True


@dataclass(slots=True)
class Position(Average):
    """One shelf: average cost in the parent's fields, FIFO beside it, what was traded on ``day``, all in paise.

    ``reserved`` is what open sells hold of it; ``lots`` are complete only where sales or busts are applied.
    """

    reserved: int = 0
    fifo_realised: int = 0
    charges: int = 0
    day: date | None = None
    day_bought: int = 0
    day_bought_paise: int = 0
    day_sold: int = 0
    day_sold_paise: int = 0
    reserved_change: int = 0
    lots: list[Lot] = field(default_factory=list)
    changed: bool = False

    @property
    def free(self) -> int:
        """Units no open sell holds."""
        return self.quantity - self.reserved

    def count_day(self, day: date, side: str, quantity: int, value: int) -> None:
        """Add to the day's turnover; an older day's news after a newer one's is left out of it."""
        if self.day is None or day > self.day:
            self.day = day
            self.day_bought = self.day_bought_paise = self.day_sold = self.day_sold_paise = 0
        elif day < self.day:
            return
        if side == "BUY":
            self.day_bought += quantity
            self.day_bought_paise += value
        else:
            self.day_sold += quantity
            self.day_sold_paise += value

    def unreserve(self, quantity: int) -> None:
        """Let go of units an open sell held."""
        self.reserved -= quantity
        self.reserved_change -= quantity
        self.changed = True
