"""Moving part of a position to another product, as intraday traders do who decide to keep the shares."""

from collections.abc import Mapping
from datetime import datetime

from kite_sandbox.engine import records as r
from kite_sandbox.engine.broker import Broker
from kite_sandbox.engine.days import advance
from kite_sandbox.engine.model import Account, Product, Side
from kite_sandbox.engine.requests import choice, tradable, whole
from kite_sandbox.errors import holding_error, input_error
from saras_common.money import round_half_up


def convert_position(broker: Broker, account: Account, fields: Mapping[str, str], now: datetime) -> None:
    """Move ``quantity`` of the day's ``transaction_type`` side from ``old_product`` to ``new_product`` at its average.

    400 when there is not that much of it, or when a short would become a delivery nobody holds. Charges stay as they
    were charged.
    """
    advance(broker, now)
    instrument = tradable(fields, broker.state.catalogue)
    side = choice(Side, "transaction_type", fields.get("transaction_type"))
    old = choice(Product, "old_product", fields.get("old_product"))
    new = choice(Product, "new_product", fields.get("new_product"))
    quantity = whole("quantity", fields.get("quantity"), 1)
    if fields.get("position_type") not in {"day", "overnight"}:
        raise input_error("Invalid `position_type`.")
    if old is new:
        raise input_error("`new_product` should differ from `old_product`.")
    position = account.positions.get((instrument.key, old))
    traded, value = (0, 0)
    if position is not None:
        is_buy = side is Side.BUY
        traded, value = (
            (position.buys, position.buy_value_paise) if is_buy else (position.sells, position.sell_value_paise)
        )
        traded = min(traded, position.quantity if is_buy else -position.quantity)
    if quantity > traded or position is None:
        raise input_error("The quantity to convert is more than the open position of the day.")
    if side is Side.BUY and old is Product.CNC and quantity > account.sellable_quantity(instrument.key):
        raise holding_error("These shares are promised to an open order.")
    if side is Side.SELL and new is Product.CNC and quantity > account.sellable_quantity(instrument.key):
        raise holding_error("Insufficient holding quantity.")
    whole_side = position.buys if side is Side.BUY else position.sells
    broker.emit(
        r.PositionConverted(
            at=now,
            api_key=account.api_key,
            instrument=instrument.key,
            side=side,
            quantity=quantity,
            value_paise=round_half_up(value * quantity, whole_side),
            old_product=old,
            new_product=new,
        ),
    )
