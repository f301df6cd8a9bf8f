"""What time alone does: sessions end, days begin, after-market orders go out."""

from datetime import datetime
from decimal import Decimal

from kite_sandbox.clock import day_of, end_of_day
from kite_sandbox.engine import records as r
from kite_sandbox.engine.broker import Broker
from kite_sandbox.engine.model import Account, OrderType, Position, Product, Side, Status, Validity, Variety


def advance(broker: Broker, now: datetime) -> None:
    """Live through whatever has passed until ``now``. Every command begins with this."""
    state, today = broker.state, day_of(now)
    if state.day is None:
        broker.emit(r.DayStarted(at=now, day=today))
    elif today != state.day:
        _close(broker, min(now, end_of_day(state.day)))
        broker.emit(r.DayStarted(at=now, day=today))
    if state.hours.is_trading_day(today) and state.hours.is_past_close(now):
        _close(broker, now)
    if state.queued and state.hours.is_open(now):
        _release(broker, now)


def _close(broker: Broker, at: datetime) -> None:
    """End the session: open orders lapse, intraday positions are squared off at the last price."""
    state = broker.state
    if state.is_closed or state.day is None:
        return
    for book in list(state.resting.values()):
        for order in list(book.values()):
            if order.status is not Status.AMO_RECEIVED:
                broker.drop(order, at, is_requested=False)
    for account in state.accounts.values():
        for (_, product), position in list(account.positions.items()):
            if product is Product.MIS and position.quantity:
                _square_off(broker, account, position, at)
    broker.emit(r.SessionClosed(at=at, day=state.day))


def _square_off(broker: Broker, account: Account, position: Position, at: datetime) -> None:
    order_id = broker.next_order_id(at)
    broker.emit(
        r.OrderPlaced(
            at=at,
            order_id=order_id,
            api_key=account.api_key,
            instrument=position.instrument.key,
            variety=Variety.REGULAR,
            side=Side.SELL if position.quantity > 0 else Side.BUY,
            product=Product.MIS,
            order_type=OrderType.MARKET,
            quantity=abs(position.quantity),
            price_paise=0,
            trigger_price_paise=0,
            validity=Validity.DAY,
            disclosed_quantity=0,
            market_protection=Decimal(0),
            tag=None,
            tags=[],
            parent_order_id=None,
            visible_at=None,
            fill_cap=None,
            blocked_paise=0,
            is_queued=False,
            rejection=None,
        ),
    )
    broker.match(broker.state.orders[order_id], at)


def _release(broker: Broker, now: datetime) -> None:
    for order in list(broker.state.queued.values()):
        broker.emit(r.OrderReleased(at=now, order_id=order.order_id))
        broker.tell(order, order.status, now)
        broker.match_new(order, now)
