"""What orders would cost: margins and charges, for lists of orders in JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from kite_sandbox.clock import day_of
from kite_sandbox.edge.routing import Call, KiteRoute
from kite_sandbox.edge.views import number
from kite_sandbox.engine.funds import exact_rupee_charges, margin_paise
from kite_sandbox.engine.model import OrderType, Product, Side
from kite_sandbox.engine.requests import choice, price, tradable, whole
from kite_sandbox.errors import input_error
from kite_sandbox.instruments import Instrument

MAX_ORDERS = 500
NO_CHARGES: dict[str, Fraction] = {}


@dataclass(frozen=True, slots=True)
class Estimate:
    """An order someone asks about. Price in paise, the last price where none was given."""

    instrument: Instrument
    side: Side
    product: Product
    order_type: OrderType
    variety: str
    quantity: int
    price_paise: int

    @property
    def value_paise(self) -> int:
        """Quantity times price."""
        return self.quantity * self.price_paise


def _estimates(call: Call, price_field: str) -> list[Estimate]:
    if not isinstance(call.body, list) or not 0 < len(call.body) <= MAX_ORDERS:
        raise input_error("Expected a JSON list of orders.")
    return [_estimate(call, item, price_field) for item in call.body]


def _estimate(call: Call, item: object, price_field: str) -> Estimate:
    if not isinstance(item, dict):
        raise input_error("Expected a JSON list of orders.")
    fields = {name: _text(value) for name, value in item.items()}
    instrument = tradable(fields, call.sandbox.catalogue)
    last = call.sandbox.state.market.get(instrument, call.now).last_paise
    return Estimate(
        instrument=instrument,
        side=choice(Side, "transaction_type", fields.get("transaction_type")),
        product=choice(Product, "product", fields.get("product")),
        order_type=choice(OrderType, "order_type", fields.get("order_type")),
        variety=fields.get("variety") or "regular",
        quantity=whole("quantity", fields.get("quantity"), 1),
        price_paise=price(price_field, fields.get(price_field)) or last,
    )


def _text(value: object) -> str:
    if value is None or isinstance(value, bool):
        return ""
    if isinstance(value, Decimal) and value == value.to_integral_value():
        return str(int(value))
    return str(value)


def _charges_view(call: Call, estimate: Estimate) -> dict[str, Any]:
    exact = exact_rupee_charges(
        estimate.instrument,
        estimate.product,
        estimate.side,
        estimate.value_paise,
        day_of(call.now),
    )
    return _exact_view(exact)


def _exact_view(exact: Mapping[str, Fraction]) -> dict[str, Any]:
    part = {
        kind: float(exact.get(kind, Fraction(0)))
        for kind in ("stt", "exchange", "sebi", "brokerage", "stamp_duty", "gst")
    }
    return {
        "transaction_tax": part["stt"],
        "transaction_tax_type": "stt" if exact else "",
        "exchange_turnover_charge": part["exchange"],
        "sebi_turnover_charge": part["sebi"],
        "brokerage": part["brokerage"],
        "stamp_duty": part["stamp_duty"],
        "gst": {"igst": part["gst"], "cgst": 0, "sgst": 0, "total": part["gst"]},
        "total": float(sum(exact.values(), Fraction(0))),
    }


def _margin_view(estimate: Estimate | None, margin: int, charges: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "equity" if estimate else "",
        "tradingsymbol": estimate.instrument.symbol if estimate else "",
        "exchange": estimate.instrument.exchange if estimate else "",
        "span": 0,
        "exposure": 0,
        "option_premium": 0,
        "additional": 0,
        "bo": 0,
        "cash": 0,
        "var": number(margin),
        "pnl": {"realised": 0, "unrealised": 0},
        "leverage": 1 if estimate else 0,
        "charges": charges,
        "total": number(margin),
    }


def _margin(call: Call, estimate: Estimate) -> int:
    return margin_paise(
        call.account,
        estimate.instrument,
        estimate.product,
        estimate.side,
        estimate.quantity,
        estimate.price_paise,
    )


def order_margins(call: Call) -> list[dict[str, Any]]:
    """``POST /margins/orders``: each order by itself; ``total`` is what it blocks besides its charges."""
    return [
        _margin_view(estimate, _margin(call, estimate), _charges_view(call, estimate))
        for estimate in _estimates(call, "price")
    ]


def basket_margins(call: Call) -> dict[str, Any]:
    """``POST /margins/basket``: the orders together. Cash equity has no spread benefit, so final equals initial."""
    estimates = _estimates(call, "price")
    total = sum(_margin(call, estimate) for estimate in estimates)
    summed: dict[str, Fraction] = {}
    for estimate in estimates:
        exact = exact_rupee_charges(
            estimate.instrument,
            estimate.product,
            estimate.side,
            estimate.value_paise,
            day_of(call.now),
        )
        for kind, amount in exact.items():
            summed[kind] = summed.get(kind, Fraction(0)) + amount
    view = {
        "initial": _margin_view(None, total, _exact_view(NO_CHARGES)),
        "final": _margin_view(None, total, _exact_view(NO_CHARGES)),
        "orders": [
            _margin_view(estimate, _margin(call, estimate), _charges_view(call, estimate)) for estimate in estimates
        ],
        "charges": _exact_view(summed),
    }
    if call.query("mode") == "compact":
        view["orders"] = []
    return view


def contract_note(call: Call) -> list[dict[str, Any]]:
    """``POST /charges/orders``: charges order by order, unrounded."""
    return [
        {
            "transaction_type": estimate.side.value,
            "tradingsymbol": estimate.instrument.symbol,
            "exchange": estimate.instrument.exchange,
            "variety": estimate.variety,
            "product": estimate.product.value,
            "order_type": estimate.order_type.value,
            "quantity": estimate.quantity,
            "price": number(estimate.price_paise),
            "charges": _charges_view(call, estimate),
        }
        for estimate in _estimates(call, "average_price")
    ]


ROUTES = (
    KiteRoute("order_margins", "POST", "/margins/orders", order_margins, takes_json=True),
    KiteRoute("basket_order_margins", "POST", "/margins/basket", basket_margins, takes_json=True),
    KiteRoute("get_virtual_contract_note", "POST", "/charges/orders", contract_note, takes_json=True),
)
