"""Whether an order trades at the last price. The sandbox's market is one price deep and without end."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from kite_sandbox.engine.model import Order, Side, Status
from kite_sandbox.instruments import Instrument


def protection_price(instrument: Instrument, side: Side, last_paise: int, percent: Decimal) -> int:
    """The worst price a protected market order may trade at, on the tick grid inside the band.

    >>> # 2 % over 150000 paise on a 10-paise grid is 153000
    """
    tick = instrument.tick_paise
    if side is Side.BUY:
        edge = Decimal(last_paise) * (100 + percent) / 100
        return int((edge / tick).to_integral_value(ROUND_FLOOR)) * tick
    edge = Decimal(last_paise) * (100 - percent) / 100
    return max(int((edge / tick).to_integral_value(ROUND_CEILING)) * tick, tick)


def is_triggered(order: Order, last_paise: int) -> bool:
    """Whether a waiting stop order's trigger is reached."""
    if order.side is Side.BUY:
        return last_paise >= order.trigger_price_paise
    return last_paise <= order.trigger_price_paise


def is_marketable(order: Order, last_paise: int) -> bool:
    """Whether an open order trades at ``last_paise``: at or better than its limit, or it has none."""
    if not order.price_paise:
        return True
    return last_paise <= order.price_paise if order.side is Side.BUY else last_paise >= order.price_paise


def quantity_to_fill(order: Order, last_paise: int) -> int:
    """What trades now: all that remains, or the part a ``partial`` fault allows; 0 when the order must wait."""
    if order.status is not Status.OPEN or not is_marketable(order, last_paise):
        return 0
    return order.remaining if order.fill_cap is None else min(order.fill_cap, order.remaining)
