"""Orders and trades."""

from typing import Any

from starlette.responses import Response

from kite_sandbox.edge.envelope import raw_success, to_json
from kite_sandbox.edge.routing import Call, KiteRoute
from kite_sandbox.edge.views import history_view, order_view, trade_view
from kite_sandbox.engine import changes, entry
from kite_sandbox.engine.days import advance
from kite_sandbox.engine.model import Order, Variety
from kite_sandbox.engine.requests import change_request, choice, order_request
from kite_sandbox.errors import KiteError, not_found


def place_order(call: Call) -> dict[str, Any]:
    """``POST /orders/{variety}``."""
    request = order_request(call.path["variety"], call.form, call.sandbox.catalogue)
    broker = call.sandbox.broker
    if not request.is_autosliced:
        return {"order_id": entry.place(broker, call.account, request, call.now, call.effects)}
    parent, children = entry.place_sliced(broker, call.account, request, call.now, call.effects)
    return {"order_id": parent, "children": [_child_view(child) for child in children]}


def _child_view(child: str | KiteError) -> dict[str, Any]:
    if isinstance(child, str):
        return {"order_id": child}
    error = {"code": child.status, "error_type": child.error_type, "message": child.message, "data": None}
    return {"error": error}


def modify_order(call: Call) -> dict[str, Any]:
    """``PUT /orders/{variety}/{order_id}``."""
    choice(Variety, "variety", call.path["variety"])
    order_id = call.path["order_id"]
    changes.modify(
        call.sandbox.broker,
        call.account,
        order_id,
        change_request(call.form),
        call.now,
        call.effects,
    )
    return {"order_id": order_id}


def cancel_order(call: Call) -> dict[str, Any]:
    """``DELETE /orders/{variety}/{order_id}``."""
    choice(Variety, "variety", call.path["variety"])
    order_id = call.path["order_id"]
    changes.cancel(call.sandbox.broker, call.account, order_id, call.now, call.effects)
    return {"order_id": order_id}


def list_orders(call: Call) -> Response:
    """``GET /orders``: the day's book. Orders that have not changed are not rendered again."""
    advance(call.sandbox.broker, call.now)
    book = [_render(order) for order in call.account.orders.values() if _is_visible(call, order)]
    return raw_success(b"[" + b",".join(book) + b"]")


def _render(order: Order) -> bytes:
    if order.rendered is None or order.rendered[0] != order.revision:
        order.rendered = (order.revision, to_json(order_view(order)))
    return order.rendered[1]


def _is_visible(call: Call, order: Order) -> bool:
    hidden_for = call.effects.invisible_s
    if hidden_for and (call.now - order.placed_at).total_seconds() < hidden_for:
        return False
    return order.visible_at is None or order.visible_at <= call.now


def _visible_order(call: Call) -> Order:
    advance(call.sandbox.broker, call.now)
    order = call.sandbox.broker.get_order(call.account, call.path["order_id"])
    if not _is_visible(call, order):
        raise not_found("Couldn't find that `order_id`.")
    return order


def order_history(call: Call) -> list[dict[str, Any]]:
    """``GET /orders/{order_id}``."""
    return history_view(_visible_order(call))


def order_trades(call: Call) -> list[dict[str, Any]]:
    """``GET /orders/{order_id}/trades``."""
    order = _visible_order(call)
    return [trade_view(trade) for trade in order.trades]


def list_trades(call: Call) -> list[dict[str, Any]]:
    """``GET /trades``."""
    advance(call.sandbox.broker, call.now)
    return [trade_view(trade) for trade in call.account.trades if _is_visible(call, trade.order)]


ROUTES = (
    KiteRoute("place_order", "POST", "/orders/{variety}", place_order, "orders"),
    KiteRoute("modify_order", "PUT", "/orders/{variety}/{order_id}", modify_order, "orders"),
    KiteRoute("cancel_order", "DELETE", "/orders/{variety}/{order_id}", cancel_order, "orders"),
    KiteRoute("orders", "GET", "/orders", list_orders),
    KiteRoute("order_history", "GET", "/orders/{order_id}", order_history),
    KiteRoute("order_trades", "GET", "/orders/{order_id}/trades", order_trades),
    KiteRoute("trades", "GET", "/trades", list_trades),
)
