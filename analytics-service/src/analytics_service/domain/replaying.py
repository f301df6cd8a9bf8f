"""What a user's trades came to up to a day: positions, orders, cash. Derived from the store's rows alone."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Protocol
from uuid import UUID

from analytics_service.domain.positions import Position


class Stored(Protocol):
    """A row of the trade store, as far as it is read here."""

    @property
    def source(self) -> str: ...
    @property
    def order_id(self) -> UUID: ...
    @property
    def instrument(self) -> str: ...
    @property
    def product(self) -> str: ...
    @property
    def side(self) -> str: ...
    @property
    def quantity(self) -> int: ...
    @property
    def value_paise(self) -> int: ...
    @property
    def charges(self) -> list[int]: ...
    @property
    def traded_at(self) -> datetime: ...
    @property
    def settles_on(self) -> date: ...
    @property
    def counterparty(self) -> str: ...


@dataclass(slots=True)
class Deal:
    """All of one order's executions together, true-ups and busts netted."""

    order_id: UUID
    source: str
    instrument: str
    product: str
    side: str
    traded_at: datetime
    settles_on: date
    counterparty: str
    quantity: int = 0
    value_paise: int = 0
    charges: list[int] = field(default_factory=lambda: [0] * 7)

    @property
    def cash_paise(self) -> int:
        """What it moved: a purchase costs its value and charges, a sale brings its value less charges."""
        return (-self.value_paise if self.side == "BUY" else self.value_paise) - sum(self.charges)


def deals_of(trades: Iterable[Stored]) -> list[Deal]:
    """Trades by order, in the order of their first execution; an order undone altogether is left out."""
    deals: dict[UUID, Deal] = {}
    for trade in trades:
        deal = deals.get(trade.order_id)
        if deal is None:
            deal = deals[trade.order_id] = Deal(
                trade.order_id,
                trade.source,
                trade.instrument,
                trade.product,
                trade.side,
                trade.traded_at,
                trade.settles_on,
                trade.counterparty,
            )
        deal.quantity += trade.quantity
        deal.value_paise += trade.value_paise
        deal.charges = [one + more for one, more in zip(deal.charges, trade.charges, strict=True)]
        deal.traded_at = min(deal.traded_at, trade.traded_at)
    return sorted(
        (deal for deal in deals.values() if deal.quantity or deal.cash_paise),
        key=lambda deal: (deal.traded_at, deal.order_id),
    )


def positions_of(trades: Iterable[Stored]) -> dict[tuple[str, str, str], Position]:
    """Positions by source, instrument and product, in the order the store took the trades."""
    positions: dict[tuple[str, str, str], Position] = {}
    for trade in trades:
        position = positions.setdefault((trade.source, trade.instrument, trade.product), Position())
        position.apply(
            str(trade.order_id), trade.side, trade.quantity, trade.value_paise, sum(trade.charges), trade.traded_at
        )
    return positions
