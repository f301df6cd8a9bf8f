"""Taking orders: what the edge refuses, and what goes into the book."""

from dataclasses import replace
from datetime import datetime, timedelta

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
from kite_sandbox.engine.funds import blocked_paise
from kite_sandbox.engine.model import Account, OrderType, Product, Side, Variety
from kite_sandbox.engine.requests import OrderRequest, check_protection
from kite_sandbox.errors import KiteError, holding_error, input_error, margin_error
from saras_common.money import rupees

MAX_SLICES = 10


def place(
    broker: Broker,
    account: Account,
    request: OrderRequest,
    now: datetime,
    effects: Effects = NO_EFFECTS,
) -> str:
    """Take an order; returns its id. 400 when the hours, the terms or the account forbid it."""
    _check_entry(broker, request, now)
    if request.quantity > broker.rules.freeze_quantity:
        raise input_error(
            f"Quantity {request.quantity} exceeds the freeze quantity {broker.rules.freeze_quantity} "
            f"of {request.instrument.symbol}. Split the order or use `autoslice`.",
        )
    return _enter(broker, account, request, now, effects, None)


def place_sliced(
    broker: Broker,
    account: Account,
    request: OrderRequest,
    now: datetime,
    effects: Effects = NO_EFFECTS,
) -> tuple[str, list[str | KiteError]]:
    """Take an order above the freeze quantity in slices; the parent's id, and each slice's id or refusal."""
    _check_entry(broker, request, now)
    lot = request.instrument.lot_size
    largest = max(broker.rules.freeze_quantity // lot, 1) * lot
    if request.quantity <= largest:
        raise input_error("`autoslice` is allowed only for orders above the freeze quantity.")
    if request.quantity > largest * MAX_SLICES:
        raise input_error(f"The order needs more than {MAX_SLICES} slices.")
    parent = broker.next_order_id(now)
    children: list[str | KiteError] = []
    for start in range(0, request.quantity, largest):
        part = replace(request, quantity=min(largest, request.quantity - start), disclosed_quantity=0)
        try:
            children.append(_enter(broker, account, part, now, effects, parent))
        except KiteError as refusal:
            children.append(refusal)
    return parent, children


def _check_entry(broker: Broker, request: OrderRequest, now: datetime) -> None:
    advance(broker, now)
    hours = broker.state.hours
    if request.variety is Variety.AMO and not hours.takes_amo(now):
        raise input_error("After market orders are accepted between 4:00 PM and 8:58 AM only.")
    if request.variety is Variety.REGULAR and not hours.is_open(now):
        raise input_error("Markets are closed right now. Try placing an after market order (AMO).")
    check_protection(request.order_type, request.market_protection, is_strict=broker.rules.is_protection_strict)


def _enter(
    broker: Broker,
    account: Account,
    request: OrderRequest,
    now: datetime,
    effects: Effects,
    parent: str | None,
) -> str:
    instrument = request.instrument
    last = broker.state.market.get(instrument, now).last_paise
    check_stop(request.side, request.order_type, request.price_paise, request.trigger_price_paise, last)
    check_shares(account, request, request.quantity)
    reference = request.price_paise or request.trigger_price_paise or last
    blocked = blocked_paise(
        account,
        instrument,
        request.product,
        request.side,
        request.quantity,
        reference,
        day_of(now),
    )
    check_money(account, blocked)
    order_type, price, tags = _shown(request, last)
    # The parent of slices is no order, but its id is spent.
    floor = int(parent) + 1 if parent else 0
    order_id = str(max(int(broker.next_order_id(now)), floor))
    broker.emit(
        r.OrderPlaced(
            at=now,
            order_id=order_id,
            api_key=account.api_key,
            instrument=instrument.key,
            variety=request.variety,
            side=request.side,
            product=request.product,
            order_type=order_type,
            quantity=request.quantity,
            price_paise=price,
            trigger_price_paise=request.trigger_price_paise,
            validity=request.validity,
            disclosed_quantity=request.disclosed_quantity,
            market_protection=request.market_protection,
            tag=request.tag,
            tags=tags,
            parent_order_id=parent,
            visible_at=now + timedelta(seconds=effects.invisible_s) if effects.invisible_s else None,
            fill_cap=_fill_cap(request, effects),
            blocked_paise=0 if effects.is_rejected else blocked,
            is_queued=not broker.state.hours.is_open(now),
            rejection=REJECTED_BY_FAULT if effects.is_rejected else None,
        ),
    )
    order = broker.state.orders[order_id]
    broker.tell(order, order.status, now)
    broker.match_new(order, now)
    return order_id


def _fill_cap(request: OrderRequest, effects: Effects) -> int | None:
    if effects.partial is None:
        return None
    lot = request.instrument.lot_size
    return int(request.quantity * effects.partial) // lot * lot


def _shown(request: OrderRequest, last: int) -> tuple[OrderType, int, list[str]]:
    """Type, price and tags the book shows: a protected market order becomes a limit order at its band."""
    if request.order_type is OrderType.MARKET and request.market_protection:
        percent = protection_percent(request.market_protection)
        price = matching.protection_price(request.instrument, request.side, last, percent)
        return OrderType.LIMIT, price, protection_tags(percent)
    return request.order_type, request.price_paise, [request.tag] if request.tag else []


def check_shares(account: Account, request: OrderRequest, quantity: int) -> None:
    """400 when a delivery sale is of more shares than are free."""
    if request.product is not Product.CNC or request.side is not Side.SELL:
        return
    sellable = account.sellable_quantity(request.instrument.key)
    if quantity > sellable:
        raise holding_error(
            f"Insufficient holding quantity. You can sell {max(sellable, 0)} of {request.instrument.symbol}.",
        )


def check_stop(side: Side, order_type: OrderType, price: int, trigger: int, last: int) -> None:
    """400 when a stop order's trigger is on the wrong side of its price or of the market."""
    if not order_type.is_stop:
        return
    is_buy = side is Side.BUY
    if order_type is OrderType.SL and (trigger > price if is_buy else trigger < price):
        word = "higher" if is_buy else "lower"
        raise input_error(f"Trigger price for stoploss {side.lower()} orders cannot be {word} than the limit price.")
    if trigger <= last if is_buy else trigger >= last:
        word = "higher" if is_buy else "lower"
        raise input_error(f"Trigger price for stoploss {side.lower()} orders should be {word} than the last price.")


def check_money(account: Account, required_paise: int) -> None:
    """400 when an order claims more than the account has free."""
    if required_paise > 0 and required_paise > account.available_paise:
        raise margin_error(
            f"Insufficient funds. Required margin is {rupees(required_paise)} "
            f"but available margin is {rupees(account.available_paise)}.",
        )
