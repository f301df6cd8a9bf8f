"""Good-till-triggered orders."""

from typing import Any

from kite_sandbox.clock import ist_text
from kite_sandbox.edge.routing import Call, KiteRoute
from kite_sandbox.edge.views import number
from kite_sandbox.engine import gtt_desk
from kite_sandbox.engine.gtt import Gtt
from kite_sandbox.errors import not_found


def _trigger_id(call: Call) -> int:
    text = call.path["trigger_id"]
    if not text.isdecimal() or not text.isascii():
        raise not_found("Couldn't find that `trigger_id`.")
    return int(text)


def place_gtt(call: Call) -> dict[str, int]:
    """``POST /gtt/triggers``."""
    return {"trigger_id": gtt_desk.save_gtt(call.sandbox.broker, call.account, call.form, call.now)}


def modify_gtt(call: Call) -> dict[str, int]:
    """``PUT /gtt/triggers/{trigger_id}``."""
    trigger_id = _trigger_id(call)
    return {"trigger_id": gtt_desk.save_gtt(call.sandbox.broker, call.account, call.form, call.now, trigger_id)}


def delete_gtt(call: Call) -> dict[str, int]:
    """``DELETE /gtt/triggers/{trigger_id}``."""
    trigger_id = _trigger_id(call)
    gtt_desk.delete_gtt(call.sandbox.broker, call.account, trigger_id, call.now)
    return {"trigger_id": trigger_id}


def get_gtt(call: Call) -> dict[str, Any]:
    """``GET /gtt/triggers/{trigger_id}``."""
    return _view(call, gtt_desk.get_gtt(call.sandbox.broker, call.account, _trigger_id(call)))


def list_gtts(call: Call) -> list[dict[str, Any]]:
    """``GET /gtt/triggers``."""
    return [_view(call, gtt) for gtt in call.sandbox.state.gtts.values() if gtt.api_key == call.account.api_key]


def _view(call: Call, gtt: Gtt) -> dict[str, Any]:
    instrument = call.sandbox.state.instrument(gtt.instrument)
    names = {"exchange": instrument.exchange, "tradingsymbol": instrument.symbol}
    return {
        "id": gtt.trigger_id,
        "user_id": call.account.user_id,
        "parent_trigger": None,
        "type": gtt.trigger_type,
        "created_at": ist_text(gtt.created_at),
        "updated_at": ist_text(gtt.updated_at),
        "expires_at": ist_text(gtt.expires_at),
        "status": gtt.status,
        "condition": {
            **names,
            "last_price": number(gtt.last_price_paise),
            "trigger_values": [number(value) for value in gtt.trigger_values_paise],
            "instrument_token": instrument.token,
        },
        "orders": [_leg_view(call, names, leg) for leg in gtt.orders],
        "meta": {},
    }


def _leg_view(call: Call, names: dict[str, str], leg: dict[str, Any]) -> dict[str, Any]:
    terms = {
        **names,
        "product": leg["product"],
        "order_type": "LIMIT",
        "transaction_type": leg["transaction_type"],
        "quantity": leg["quantity"],
        "price": number(leg["price_paise"]),
    }
    result = leg["result"]
    if result is None:
        return {**terms, "result": None}
    outcome = {
        "status": "success" if result["order_id"] else "failed",
        "order_id": result["order_id"],
        "rejection_reason": result["rejection_reason"],
    }
    return {
        **terms,
        "result": {
            **terms,
            "account_id": call.account.user_id,
            "validity": "DAY",
            "meta": "{}",
            "timestamp": result["timestamp"],
            "triggered_at": number(result["triggered_at_paise"]),
            "order_result": outcome,
        },
    }


ROUTES = (
    KiteRoute("get_gtts", "GET", "/gtt/triggers", list_gtts),
    KiteRoute("place_gtt", "POST", "/gtt/triggers", place_gtt),
    KiteRoute("get_gtt", "GET", "/gtt/triggers/{trigger_id}", get_gtt),
    KiteRoute("modify_gtt", "PUT", "/gtt/triggers/{trigger_id}", modify_gtt),
    KiteRoute("delete_gtt", "DELETE", "/gtt/triggers/{trigger_id}", delete_gtt),
)
