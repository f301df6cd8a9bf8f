"""Placing, changing and firing good-till-triggered orders."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from kite_sandbox.clock import ist_text
from kite_sandbox.engine import records as r
from kite_sandbox.engine.broker import Broker
from kite_sandbox.engine.days import advance
from kite_sandbox.engine.entry import place
from kite_sandbox.engine.gtt import ACTIVE, LEGS, Gtt
from kite_sandbox.engine.model import Account, OrderType, Product, Side
from kite_sandbox.engine.requests import choice, on_tick, order_request, price, tradable, whole
from kite_sandbox.errors import KiteError, input_error, not_found
from kite_sandbox.instruments import Instrument

LIFE = timedelta(days=365)
MAX_GTTS = 250


def save_gtt(
    broker: Broker,
    account: Account,
    fields: Mapping[str, str],
    now: datetime,
    trigger_id: int | None = None,
) -> int:
    """Place a good-till-triggered order, or (with ``trigger_id``) replace an active one; returns its id."""
    advance(broker, now)
    old = get_gtt(broker, account, trigger_id) if trigger_id is not None else None
    if old is not None and old.status != ACTIVE:
        raise input_error(f"The trigger is {old.status} and cannot be modified.")
    active = sum(gtt.api_key == account.api_key and gtt.status == ACTIVE for gtt in broker.state.gtts.values())
    if old is None and active >= MAX_GTTS:
        raise input_error(f"You can have {MAX_GTTS} active triggers at most.")
    kind = fields.get("type", "")
    if kind not in LEGS:
        raise input_error("Invalid `type`.")
    condition, orders = _json("condition", fields, dict), _json("orders", fields, list)
    instrument = tradable(
        {name: str(condition.get(name, "")) for name in ("exchange", "tradingsymbol")}, broker.state.catalogue
    )
    triggers = [_price(instrument, "trigger_values", value) for value in _listed(condition.get("trigger_values"))]
    last = price("last_price", str(condition.get("last_price", "")))
    _check_triggers(kind, triggers, last)
    if len(orders) != LEGS[kind]:
        raise input_error("Invalid `orders`.")
    new_id = broker.state.last_gtt_id + 1 if trigger_id is None else trigger_id
    broker.emit(
        r.GttSaved(
            at=now,
            api_key=account.api_key,
            trigger_id=new_id,
            trigger_type=kind,
            status=ACTIVE,
            instrument=instrument.key,
            last_price_paise=last,
            trigger_values_paise=triggers,
            orders=[_leg(instrument, leg) for leg in orders],
            created_at=old.created_at if old else now,
            expires_at=now + LIFE,
        ),
    )
    return new_id


def _check_triggers(kind: str, triggers: list[int], last: int) -> None:
    if len(triggers) != LEGS[kind] or not all(triggers) or not last:
        raise input_error("Invalid `condition`.")
    if triggers != sorted(triggers) or (len(triggers) > 1 and not triggers[0] < last < triggers[1]):
        raise input_error("The lower trigger comes first, and the last price lies between the two.")
    if triggers[0] == last:
        raise input_error("The trigger price should differ from the last price.")


def _json(name: str, fields: Mapping[str, str], kind: type) -> Any:
    try:
        value = json.loads(fields.get(name, ""), parse_float=Decimal)
    except (ValueError, RecursionError):
        raise input_error(f"Invalid `{name}`.") from None
    if not isinstance(value, kind):
        raise input_error(f"Invalid `{name}`.")
    return value


def _listed(value: object) -> list[object]:
    if not isinstance(value, list):
        raise input_error("Invalid `trigger_values`.")
    return value


def _price(instrument: Instrument, name: str, value: object) -> int:
    paise = price(name, str(value))
    on_tick(instrument, paise)
    return paise


def _leg(instrument: Instrument, leg: object) -> dict[str, Any]:
    if not isinstance(leg, dict):
        raise input_error("Invalid `orders`.")
    fields = {name: str(value) for name, value in leg.items()}
    if choice(OrderType, "order_type", fields.get("order_type")) is not OrderType.LIMIT:
        raise input_error("A trigger places LIMIT orders only.")
    return {
        "transaction_type": choice(Side, "transaction_type", fields.get("transaction_type")).value,
        "product": choice(Product, "product", fields.get("product")).value,
        "quantity": whole("quantity", fields.get("quantity"), 1),
        "price_paise": _price(instrument, "price", fields.get("price", "")),
        "result": None,
    }


def get_gtt(broker: Broker, account: Account, trigger_id: int) -> Gtt:
    """One of this account's; 404 otherwise."""
    gtt = broker.state.gtts.get(trigger_id)
    if gtt is None or gtt.api_key != account.api_key:
        raise not_found("Couldn't find that `trigger_id`.")
    return gtt


def delete_gtt(broker: Broker, account: Account, trigger_id: int, now: datetime) -> None:
    """Take one out."""
    get_gtt(broker, account, trigger_id)
    broker.emit(r.GttDeleted(at=now, api_key=account.api_key, trigger_id=trigger_id))


def fire_gtts(broker: Broker, keys: Iterable[str], now: datetime) -> None:
    """Place the orders of every trigger the last prices have reached."""
    if not broker.state.hours.is_open(now):
        return
    for key in keys:
        for gtt in list(broker.state.watched.get(key, {}).values()):
            quote = broker.state.market.find(key, now)
            leg = gtt.reached_leg(quote.last_paise) if quote else None
            if gtt.expires_at <= now:
                _resave(broker, gtt, "expired", gtt.orders, now)
            elif quote is not None and leg is not None:
                _fire(broker, gtt, leg, now)


def _fire(broker: Broker, gtt: Gtt, leg: int, now: datetime) -> None:
    terms = gtt.orders[leg]
    exchange, _, symbol = gtt.instrument.partition(":")
    fields = {
        "exchange": exchange,
        "tradingsymbol": symbol,
        "transaction_type": terms["transaction_type"],
        "product": terms["product"],
        "quantity": str(terms["quantity"]),
        "order_type": OrderType.LIMIT,
        "price": str(Decimal(terms["price_paise"]) / 100),
    }
    order_id, reason = "", ""
    # Spent before its order is placed: whatever the order sets off finds no active trigger here.
    _resave(broker, gtt, "triggered", gtt.orders, now)
    try:
        request = order_request("regular", fields, broker.state.catalogue)
        order_id = place(broker, broker.state.accounts[gtt.api_key], request, now)
    except KiteError as refusal:
        reason = refusal.message
    result = {
        "order_id": order_id,
        "rejection_reason": reason,
        "timestamp": ist_text(now),
        "triggered_at_paise": gtt.trigger_values_paise[leg],
    }
    orders = [{**item, "result": result} if index == leg else item for index, item in enumerate(gtt.orders)]
    _resave(broker, gtt, "triggered", orders, now)


def _resave(broker: Broker, gtt: Gtt, status: str, orders: list[dict[str, Any]], now: datetime) -> None:
    broker.emit(
        r.GttSaved(
            at=now,
            api_key=gtt.api_key,
            trigger_id=gtt.trigger_id,
            trigger_type=gtt.trigger_type,
            status=status,
            instrument=gtt.instrument,
            last_price_paise=gtt.last_price_paise,
            trigger_values_paise=gtt.trigger_values_paise,
            orders=orders,
            created_at=gtt.created_at,
            expires_at=gtt.expires_at,
        ),
    )
