"""Changing resting orders: new terms, or out of the book."""

from datetime import datetime

from kite_sandbox.clock import day_of
from kite_sandbox.engine import matching
from kite_sandbox.engine import records as r
from kite_sandbox.engine.broker import (
    NO_EFFECTS,
    REJECTED_BY_FAULT,
    Broker,
    Effects,
    protection_percent,
    protection_tags,
)
from kite_sandbox.engine.days import advance
from kite_sandbox.engine.entry import check_money, check_stop
from kite_sandbox.engine.funds import blocked_paise
from kite_sandbox.engine.model import Account, Order, OrderType, Product, Side
from kite_sandbox.engine.requests import ChangeRequest, check_protection, check_terms, in_lots
from kite_sandbox.errors import holding_error, input_error

MAX_MODIFICATIONS = 25


def modify(
    broker: Broker,
    account: Account,
    order_id: str,
    change: ChangeRequest,
    now: datetime,
    effects: Effects = NO_EFFECTS,
) -> None:
    """Give a resting order new terms; it matches on them at once. 400 when it cannot have them."""
    advance(broker, now)
    order = broker.get_order(account, order_id)
    _check_resting(order, "modified")
    if order.modifications >= MAX_MODIFICATIONS:
        raise input_error(f"Maximum allowed order modifications ({MAX_MODIFICATIONS}) exceeded.")
    record = _new_terms(broker, account, order, change, now)
    if effects.is_rejected:
        broker.emit(r.ChangeRefused(at=now, order_id=order_id, is_cancel=False, message=REJECTED_BY_FAULT))
        return
    broker.emit(record)
    broker.tell(order, "UPDATE", now)
    broker.match(order, now)


def cancel(broker: Broker, account: Account, order_id: str, now: datetime, effects: Effects = NO_EFFECTS) -> None:
    """Take a resting order out of the book; its fills stay. 400 when it has ended."""
    advance(broker, now)
    order = broker.get_order(account, order_id)
    _check_resting(order, "cancelled")
    if effects.is_rejected:
        broker.emit(r.ChangeRefused(at=now, order_id=order_id, is_cancel=True, message=REJECTED_BY_FAULT))
        return
    broker.drop(order, now, is_requested=True)


def _check_resting(order: Order, verb: str) -> None:
    if not order.status.is_resting:
        raise input_error(f"Order cannot be {verb} as it is {order.status}.")


def _new_terms(
    broker: Broker,
    account: Account,
    order: Order,
    change: ChangeRequest,
    now: datetime,
) -> r.OrderModified:
    last = broker.last_price(order, now)
    quantity = order.quantity if change.quantity is None else change.quantity
    _check_quantity(account, order, quantity)
    kind = change.order_type or order.order_type
    if kind.is_stop and order.is_triggered:
        kind = OrderType.LIMIT
    price, trigger = check_terms(
        order.instrument,
        kind,
        order.price_paise if change.price_paise is None else change.price_paise,
        order.trigger_price_paise if change.trigger_price_paise is None else change.trigger_price_paise,
    )
    protection = order.market_protection if change.market_protection is None else change.market_protection
    check_protection(kind, protection, is_strict=broker.rules.is_protection_strict)
    if (kind, trigger) != (order.order_type, order.trigger_price_paise):
        check_stop(order.side, kind, price, trigger, last)
    blocked = blocked_paise(
        account,
        order.instrument,
        order.product,
        order.side,
        quantity - order.filled,
        price or trigger or last,
        day_of(now),
    )
    check_money(account, blocked - order.blocked_paise)
    tags = list(order.tags)
    if kind is OrderType.MARKET and protection:
        percent = protection_percent(protection)
        kind, tags = OrderType.LIMIT, protection_tags(percent)
        price = matching.protection_price(order.instrument, order.side, last, percent)
    disclosed = order.disclosed_quantity if change.disclosed_quantity is None else change.disclosed_quantity
    return r.OrderModified(
        at=now,
        order_id=order.order_id,
        order_type=kind,
        quantity=quantity,
        price_paise=price,
        trigger_price_paise=trigger,
        validity=change.validity or order.validity,
        disclosed_quantity=disclosed,
        market_protection=protection,
        tags=tags,
        blocked_paise=blocked,
    )


def _check_quantity(account: Account, order: Order, quantity: int) -> None:
    in_lots(order.instrument, quantity)
    if quantity <= order.filled:
        raise input_error("Quantity cannot be less than or equal to the filled quantity.")
    is_delivery_sale = order.product is Product.CNC and order.side is Side.SELL
    if is_delivery_sale and quantity - order.quantity > account.sellable_quantity(order.instrument.key):
        raise holding_error("Insufficient holding quantity.")
