"""What positions are worth on marks. A figure that cannot be known is ``None``, never nought."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple


class Shelf(NamedTuple):
    """A position as stored, with its open lots' cost and the instrument's mark. Paise and units."""

    portfolio_id: str
    instrument: str
    product: str
    quantity: int
    reserved: int
    cost: int
    realised: int
    fifo_realised: int
    fifo_cost: int
    charges: int
    day: date | None
    day_bought: int
    day_bought_paise: int
    day_sold: int
    day_sold_paise: int
    last: int | None
    close: int | None

    @property
    def market_value(self) -> int | None:
        """At the last price; nothing held is worth nothing even without one."""
        if self.quantity == 0:
            return 0
        return None if self.last is None else self.quantity * self.last

    @property
    def unrealised(self) -> int | None:
        """Market value less average cost."""
        value = self.market_value
        return None if value is None else value - self.cost

    @property
    def fifo_unrealised(self) -> int | None:
        """Market value less the cost of the open lots."""
        value = self.market_value
        return None if value is None else value - self.fifo_cost

    def traded_on(self, today: date) -> bool:
        """Whether anything was bought or sold that day."""
        return self.day == today and bool(self.day_bought or self.day_sold)

    def day_profit(self, today: date) -> int | None:
        """Value now, less value at the previous close, less what was put in today, plus what was taken out."""
        bought = sold = bought_paise = sold_paise = 0
        if self.day == today:
            bought, sold = self.day_bought, self.day_sold
            bought_paise, sold_paise = self.day_bought_paise, self.day_sold_paise
        opening = self.quantity - bought + sold
        value = self.market_value
        if value is None or (opening and self.close is None):
            return None
        return value - opening * (self.close or 0) + sold_paise - bought_paise


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over shelves, in paise; ``unpriced`` names the instruments that make some of them unknown."""

    market_value: int | None
    invested: int
    realised: int
    unrealised: int | None
    fifo_realised: int
    fifo_unrealised: int | None
    day: int | None
    charges: int
    unpriced: tuple[str, ...]


def total(shelves: Sequence[Shelf], today: date) -> Totals:
    """Sums over ``shelves``; unknown where a part is unknown."""
    return Totals(
        market_value=_sum(shelf.market_value for shelf in shelves),
        invested=sum(shelf.cost for shelf in shelves),
        realised=sum(shelf.realised for shelf in shelves),
        unrealised=_sum(shelf.unrealised for shelf in shelves),
        fifo_realised=sum(shelf.fifo_realised for shelf in shelves),
        fifo_unrealised=_sum(shelf.fifo_unrealised for shelf in shelves),
        day=_sum(shelf.day_profit(today) for shelf in shelves),
        charges=sum(shelf.charges for shelf in shelves),
        unpriced=tuple(sorted({shelf.instrument for shelf in shelves if shelf.market_value is None})),
    )


def by_instrument(shelves: Iterable[Shelf]) -> list[Shelf]:
    """One shelf an instrument, portfolios and products together; what is empty is left out."""
    merged: dict[str, Shelf] = {}
    for shelf in shelves:
        if shelf.quantity:
            known = merged.get(shelf.instrument)
            merged[shelf.instrument] = shelf if known is None else _merge(known, shelf)
    return [merged[name] for name in sorted(merged)]


def _merge(one: Shelf, other: Shelf) -> Shelf:
    same_product = one.product if one.product == other.product else "MIXED"
    added = {
        name: getattr(one, name) + getattr(other, name)
        for name in ("quantity", "reserved", "cost", "realised", "fifo_realised", "fifo_cost", "charges")
    }
    return one._replace(product=same_product, **added)


def _sum(parts: Iterable[int | None]) -> int | None:
    result = 0
    for part in parts:
        if part is None:
            return None
        result += part
    return result


def weight(part: int | None, whole: int | None) -> str | None:
    """``part`` of ``whole`` as a fraction with four decimals."""
    if part is None or not whole:
        return None
    scaled = (2 * part * 10_000 + whole) // (2 * whole)
    return f"{scaled // 10_000}.{scaled % 10_000:04d}"
