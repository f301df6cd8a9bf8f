"""HTTP bodies: what comes in, and the shapes that go out."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema

from portfolio_service.domain.views import NO_CHARGES, OrderView
from saras_common.charges import KINDS
from saras_common.events import OrderType, Product, Side, Validity
from saras_common.money import average_price, rupees
from saras_common.schemas import Answer, InstrumentName, Quantity, Rupees, Strict, Text

MAX_BATCH = 1000

Id = Annotated[str, StringConstraints(min_length=1, max_length=64)]


_RFC3339 = re.compile(r"[0-9]{4}(-[0-9]{2}){2}[Tt][0-9]{2}(:[0-9]{2}){2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})")


def _instant(value: Any) -> datetime:
    if not isinstance(value, str) or not _RFC3339.fullmatch(value):
        raise ValueError("must be an RFC 3339 time with a time zone")
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except OverflowError as error:
        raise ValueError("out of range") from error


Instant = Annotated[
    datetime, BeforeValidator(_instant), WithJsonSchema({"type": "string", "format": "date-time"}, mode="validation")
]
"""Input time, RFC 3339 with a time zone; the model holds UTC."""


Money = Annotated[str, Field(pattern=r"^-?[0-9]+\.[0-9]{2}$", examples=["1523.40"])]
"""Rupees, as written."""

Price = Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]{2}([0-9]{2})?$", examples=["1523.40"])]
"""Rupees of one share on average: two places, four where two do not hold it."""

Fraction = Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]{4}$", examples=["0.2500"])]


class OrderTerms(Strict):
    """What every order says."""

    instrument: InstrumentName
    quantity: Quantity
    order_type: OrderType
    price: Rupees | None = None
    trigger_price: Rupees | None = None
    product: Product = "CNC"
    validity: Validity = "DAY"
    portfolio_id: Id | None = None


class BuyIn(OrderTerms):
    """Body of ``POST /buy``."""

    side: ClassVar[Side] = "BUY"


class SellIn(OrderTerms):
    """Body of ``POST /sell``."""

    side: ClassVar[Side] = "SELL"


class OrderIn(OrderTerms):
    """One order of a batch."""

    side: Side


class BatchIn(Strict):
    """Body of ``POST /orders/batch``."""

    orders: list[OrderIn] = Field(min_length=1, max_length=MAX_BATCH)
    atomic: bool = False


class BasketBatchIn(BatchIn):
    """Body of the internal batch: another service's legs for one of its users."""

    user_id: Id
    basket_id: Id


class AmountIn(Strict):
    """Body of deposits and withdrawals."""

    amount: Rupees


class PortfolioIn(Strict):
    """Body of ``POST /portfolio``."""

    name: Text
    benchmark: InstrumentName | None = None


class TradeIn(Strict):
    """Body of ``POST /trades``: a trade done elsewhere, now unless told."""

    instrument: InstrumentName
    side: Side
    quantity: Quantity
    price: Rupees
    traded_at: Instant | None = None


class ChargesOut(Answer):
    """Rupees by kind."""

    brokerage: str
    stt: str
    exchange: str
    sebi: str
    stamp_duty: str
    gst: str
    dp: str
    total: str


class TimelineOut(Answer):
    """One step of an order's way."""

    at: datetime
    status: str
    note: str | None


class OrderOut(Answer):
    """An order."""

    id: str
    user_id: str
    portfolio_id: str
    instrument: str
    side: str
    order_type: str
    product: str
    quantity: int
    price: str | None
    trigger_price: str | None
    validity: str
    status: str
    status_reason: str | None
    filled_quantity: int
    average_price: str | None
    charges: ChargesOut
    basket_id: str | None
    batch_id: str | None
    created_at: datetime
    updated_at: datetime
    timeline: list[TimelineOut]


class ProblemOut(Answer):
    """A refusal inside a batch."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: list[dict[str, str]] = Field(default_factory=list)


class BatchOut(Answer):
    """An order or a refusal for each order sent, in order."""

    items: list[OrderOut | ProblemOut]


class FundsOut(Answer):
    """A user's cash. ``cash`` is all of it, ``held`` the part that open orders and withdrawals keep."""

    cash: Money
    held: Money
    available: Money
    collateral: Money
    margin_used: Money


class MovementOut(Answer):
    """A deposit or a withdrawal."""

    id: str
    user_id: str
    kind: Literal["deposit", "withdrawal"]
    amount: Money
    status: Literal["pending", "completed", "rejected"]
    created_at: datetime
    decided_at: datetime | None


class HoldingOut(Answer):
    """Shares of one instrument; ``null`` is what cannot be known without a last price."""

    instrument: str
    product: str
    quantity: int
    reserved: int
    average_price: Price | None
    fifo_average_price: Price | None
    last_price: Money | None
    invested: Money
    market_value: Money | None
    unrealised_pnl: Money | None
    weight: Fraction | None


class PortfolioOut(Answer):
    """A portfolio on today's prices; cash is the user's and counted with the default one."""

    id: str
    name: str
    benchmark: str | None
    is_default: bool
    cash: Money
    market_value: Money | None
    total_value: Money | None
    invested: Money
    realised_pnl: Money
    unrealised_pnl: Money | None
    day_pnl: Money | None
    unpriced: list[str]
    holdings: list[HoldingOut]


class PositionOut(HoldingOut):
    """Shares of one instrument in one portfolio, with today's turnover."""

    portfolio_id: str
    realised_pnl: Money
    realised_pnl_fifo: Money
    day_pnl: Money | None
    day_buy_quantity: int
    day_buy_value: Money
    day_sell_quantity: int
    day_sell_value: Money
    charges: Money


class PnlOut(Answer):
    """Profit by average cost and by FIFO, before charges."""

    realised_pnl: Money
    unrealised_pnl: Money | None
    total_pnl: Money | None
    realised_pnl_fifo: Money
    unrealised_pnl_fifo: Money | None
    day_pnl: Money | None
    charges: Money
    unpriced: list[str]
    items: list[PositionOut]


class InstrumentExposureOut(Answer):
    """One instrument's part of a user's worth."""

    instrument: str
    market_value: Money | None
    weight: Fraction | None


class ExposureOut(Answer):
    """How a user's worth is spread."""

    cash: Money
    held: Money
    gross_exposure: Money | None
    net_exposure: Money | None
    total_value: Money | None
    invested_fraction: Fraction | None
    unpriced: list[str]
    by_product: dict[str, Money | None]
    by_instrument: list[InstrumentExposureOut]


class LineOut(Answer):
    """One line of the statement: rupees of ``INR`` as strings, shares as integers."""

    id: str
    at: datetime
    kind: str
    asset: str
    product: str | None
    amount: Money | int
    balance: Money | int
    charges: Money
    order_id: str | None


class TradeOut(Answer):
    """An execution here, or a trade done elsewhere, which has no order, product or charges."""

    id: str
    order_id: str | None
    instrument: str
    product: str | None
    side: Side
    kind: str
    quantity: int
    price: Price
    value: Money
    charges: Money | None
    traded_at: datetime
    source: Literal["platform", "elsewhere"]


_NO_CHARGES = dict.fromkeys((*KINDS, "total"), "0.00")


def order_document(view: OrderView) -> dict[str, Any]:
    """The JSON of an order (`OrderOut`), built by hand: a batch has a thousand of them."""
    price, trigger = view.price_paise, view.trigger_price_paise
    charges = _NO_CHARGES
    if view.charges is not NO_CHARGES and any(view.charges):
        charges = {kind: rupees(paise) for kind, paise in zip(KINDS, view.charges, strict=True)}
        charges["total"] = rupees(sum(view.charges))
    timeline: list[dict[str, Any]] = [{"at": view.created_at, "status": "ACCEPTED", "note": None}]
    if view.timeline:
        steps = sorted(view.timeline, key=lambda step: str(step[0]))  # news of a window may come after a wish to cancel
        timeline += [{"at": at, "status": status, "note": note} for at, status, note in steps]
    return {
        "id": view.id,
        "user_id": view.user_id,
        "portfolio_id": view.portfolio_id,
        "instrument": view.instrument,
        "side": view.side,
        "order_type": view.order_type,
        "product": view.product,
        "quantity": view.quantity,
        "price": None if price is None else rupees(price),
        "trigger_price": None if trigger is None else rupees(trigger),
        "validity": view.validity,
        "status": view.status,
        "status_reason": view.status_reason,
        "filled_quantity": view.filled_quantity,
        "average_price": average_price(view.filled_paise, view.filled_quantity),
        "charges": charges,
        "basket_id": view.basket_id,
        "batch_id": view.batch_id,
        "created_at": view.created_at,
        "updated_at": view.updated_at,
        "timeline": timeline,
    }
