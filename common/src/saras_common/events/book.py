"""What the book says."""

from typing import ClassVar
from uuid import UUID

from pydantic import Field

from saras_common.events.base import Event, OrderStatus, OrderType, Product, Side, Validity


class FundsMoved(Event):
    """Cash entered (> 0) or left (< 0) a user's account; the broker account must move by as much."""

    type: ClassVar[str] = "funds.moved.v1"

    movement_id: UUID
    user_id: UUID
    account_id: str
    amount_paise: int


class OrderAccepted(Event):
    """An order is in the book with its hold; the executor may work it."""

    type: ClassVar[str] = "order.accepted.v1"

    order_id: UUID
    user_id: UUID
    account_id: str
    instrument: str
    side: Side
    order_type: OrderType
    product: Product
    validity: Validity
    quantity: int
    price_paise: int | None = None
    trigger_price_paise: int | None = None
    cap_price_paise: int | None = Field(
        default=None, description="A buy's hold covers fills up to this price; the executor sends nothing beyond it."
    )
    house: bool = Field(default=False, description="The operator's own order: filled after every client is whole.")


class CancelRequested(Event):
    """The user wants the rest of an order cancelled."""

    type: ClassVar[str] = "order.cancel_requested.v1"

    order_id: UUID
    account_id: str


class OrderUpdated(Event):
    """A user's order changed state in the book: what notifications, streams and analytics follow."""

    type: ClassVar[str] = "order.updated.v1"

    order_id: UUID
    user_id: UUID
    instrument: str
    side: Side
    product: Product
    quantity: int
    status: OrderStatus
    status_reason: str | None = None
    filled_quantity: int
    filled_value_paise: int
    charges_paise: int
    basket_id: UUID | None = None
    batch_id: UUID | None = None


class BookTotalsRequested(Event):
    """The executor wants the book's totals for a reconciliation."""

    type: ClassVar[str] = "book.totals_requested.v1"

    reconciliation_id: UUID
    account_id: str


class BookTotalled(Event):
    """The book's totals for one broker account, all in one snapshot."""

    type: ClassVar[str] = "book.totalled.v1"

    reconciliation_id: UUID
    account_id: str
    users: dict[str, int] = Field(description="Shares of all users by instrument, every product together.")
    suspense: dict[str, int] = Field(description="Shares nobody owns, by instrument.")
    applied: dict[str, int] = Field(description="Net shares ever posted from fills, by instrument.")
    users_cash_paise: int
    suspense_cash_paise: int
    applied_cash_paise: int = Field(description="Net cash ever posted from fills, charges included (buys < 0).")
    external_cash_paise: int = Field(description="Deposits less withdrawals ever posted.")
