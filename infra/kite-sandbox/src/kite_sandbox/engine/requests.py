"""What clients ask for, read from form fields or JSON and checked one by one, refused in Kite's words."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import TypeVar

from kite_sandbox.engine.broker import AUTO_PROTECTION
from kite_sandbox.engine.model import OrderType, Product, Side, Validity, Variety
from kite_sandbox.errors import input_error
from kite_sandbox.instruments import Catalogue, Instrument
from saras_common.money import PAISE

TAG = re.compile(r"[A-Za-z0-9]{1,20}", re.ASCII)
WHOLE = re.compile(r"[0-9]{1,10}", re.ASCII)
MAX_QUANTITY = 10**9
MAX_PRICE = Decimal(10) ** 8
MAX_PROTECTION = Decimal(100)

Choice = TypeVar("Choice", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """A well-formed order. Prices in paise, 0 when there is none; ``market_protection`` 0 when not given."""

    variety: Variety
    instrument: Instrument
    side: Side
    product: Product
    order_type: OrderType
    quantity: int
    price_paise: int
    trigger_price_paise: int
    validity: Validity
    disclosed_quantity: int
    market_protection: Decimal
    tag: str | None
    is_autosliced: bool


@dataclass(frozen=True, slots=True)
class ChangeRequest:
    """New terms of an order; ``None`` keeps what stands."""

    order_type: OrderType | None
    quantity: int | None
    price_paise: int | None
    trigger_price_paise: int | None
    validity: Validity | None
    disclosed_quantity: int | None
    market_protection: Decimal | None


def choice(kind: type[Choice], name: str, value: str | None) -> Choice:
    """A member of ``kind``, or 400."""
    if not value:
        raise input_error(f"Missing or empty field `{name}`")
    try:
        return kind(value)
    except ValueError:
        raise input_error(f"Invalid `{name}`.") from None


def whole(name: str, value: str | None, least: int = 0) -> int:
    """A whole number of at least ``least``, or 400."""
    if not value:
        raise input_error(f"Missing or empty field `{name}`")
    if not WHOLE.fullmatch(value) or not least <= int(value) <= MAX_QUANTITY:
        raise input_error(f"Invalid `{name}`.")
    return int(value)


def price(name: str, value: str | None) -> int:
    """Paise of a price that may be left out (0); 400 when it is no price or finer than a paisa."""
    if not value:
        return 0
    paise = decimal(name, value) * PAISE
    if not 0 <= paise <= MAX_PRICE * PAISE or paise != int(paise):
        raise input_error(f"Invalid `{name}`.")
    return int(paise)


def decimal(name: str, value: str) -> Decimal:
    """A finite plain decimal, or 400."""
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise input_error(f"Invalid `{name}`.") from None
    if not number.is_finite():
        raise input_error(f"Invalid `{name}`.")
    return number


def tradable(fields: Mapping[str, str], catalogue: Catalogue) -> Instrument:
    """The instrument of ``exchange`` and ``tradingsymbol``, when this sandbox trades it."""
    exchange, symbol = fields.get("exchange"), fields.get("tradingsymbol")
    if not symbol:
        raise input_error("Missing or empty field `tradingsymbol`")
    if not exchange or exchange not in catalogue.exchanges():
        raise input_error("Invalid `exchange`.")
    instrument = catalogue.find(f"{exchange}:{symbol}")
    if instrument is None or not instrument.is_traded:
        raise input_error("The instrument you are placing an order for has either expired or does not exist.")
    return instrument


def on_tick(instrument: Instrument, paise: int) -> None:
    """400 when a price is off the instrument's grid."""
    if paise % instrument.tick_paise:
        raise input_error(
            f"Tick size for this script is {instrument.tick_size}. "
            "Kindly enter price in the multiple of tick size for this script",
        )


def in_lots(instrument: Instrument, quantity: int) -> None:
    """400 when a quantity is not whole lots."""
    if quantity % instrument.lot_size:
        raise input_error(f"Quantity should be multiple of lot size {instrument.lot_size}.")


def order_request(variety: str, fields: Mapping[str, str], catalogue: Catalogue) -> OrderRequest:
    """An order from the fields of ``POST /orders/{variety}``."""
    chosen = choice(Variety, "variety", variety)
    instrument = tradable(fields, catalogue)
    request = OrderRequest(
        variety=chosen,
        instrument=instrument,
        side=choice(Side, "transaction_type", fields.get("transaction_type")),
        product=choice(Product, "product", fields.get("product")),
        order_type=choice(OrderType, "order_type", fields.get("order_type")),
        quantity=whole("quantity", fields.get("quantity"), 1),
        price_paise=price("price", fields.get("price")),
        trigger_price_paise=price("trigger_price", fields.get("trigger_price")),
        validity=choice(Validity, "validity", fields.get("validity") or "DAY"),
        disclosed_quantity=whole("disclosed_quantity", fields.get("disclosed_quantity") or "0"),
        market_protection=decimal("market_protection", fields.get("market_protection") or "0"),
        tag=_tag(fields.get("tag")),
        is_autosliced=fields.get("autoslice", "").lower() == "true",
    )
    in_lots(instrument, request.quantity)
    return _without_idle_prices(request)


def _tag(value: str | None) -> str | None:
    if not value:
        return None
    if not TAG.fullmatch(value):
        raise input_error("Invalid `tag`. It should be alphanumeric and not longer than 20 characters.")
    return value


def _without_idle_prices(request: OrderRequest) -> OrderRequest:
    terms = check_terms(request.instrument, request.order_type, request.price_paise, request.trigger_price_paise)
    if request.disclosed_quantity > request.quantity:
        raise input_error("Disclosed quantity cannot be more than the order quantity.")
    if request.validity is Validity.IOC and (request.order_type.is_stop or request.variety is Variety.AMO):
        raise input_error("IOC validity is allowed for regular MARKET and LIMIT orders only.")
    return OrderRequest(
        **{
            name: getattr(request, name)
            for name in request.__slots__
            if name not in {"price_paise", "trigger_price_paise"}
        },
        price_paise=terms[0],
        trigger_price_paise=terms[1],
    )


def check_terms(instrument: Instrument, order_type: OrderType, price_paise: int, trigger_paise: int) -> tuple[int, int]:
    """Price and trigger an order of this type uses, the others 0; 400 when one is missing or off the grid."""
    if order_type in {OrderType.LIMIT, OrderType.SL}:
        if not price_paise:
            raise input_error(f"Price is required for {order_type} orders.")
        on_tick(instrument, price_paise)
    else:
        price_paise = 0
    if order_type.is_stop:
        if not trigger_paise:
            raise input_error(f"Trigger price is required for {order_type} orders.")
        on_tick(instrument, trigger_paise)
    else:
        trigger_paise = 0
    return price_paise, trigger_paise


def check_protection(order_type: OrderType, protection: Decimal, *, is_strict: bool) -> None:
    """400 for a market order without a band, or with one out of range."""
    if protection != AUTO_PROTECTION and not 0 <= protection <= MAX_PROTECTION:
        raise input_error("Invalid `market_protection`. It should be -1, or between 0 and 100.")
    if is_strict and order_type.is_unpriced and not protection:
        raise input_error(
            f"{order_type} orders without market protection are not allowed via API. "
            "Set `market_protection` to -1 or a percentage, or place a LIMIT order.",
        )


def change_request(fields: Mapping[str, str]) -> ChangeRequest:
    """New terms from the fields of ``PUT /orders/{variety}/{order_id}``."""
    has = {name for name, value in fields.items() if value}
    return ChangeRequest(
        order_type=choice(OrderType, "order_type", fields["order_type"]) if "order_type" in has else None,
        quantity=whole("quantity", fields["quantity"], 1) if "quantity" in has else None,
        price_paise=price("price", fields["price"]) if "price" in has else None,
        trigger_price_paise=price("trigger_price", fields["trigger_price"]) if "trigger_price" in has else None,
        validity=choice(Validity, "validity", fields["validity"]) if "validity" in has else None,
        disclosed_quantity=whole("disclosed_quantity", fields["disclosed_quantity"])
        if "disclosed_quantity" in has
        else None,
        market_protection=decimal("market_protection", fields["market_protection"])
        if "market_protection" in has
        else None,
    )
