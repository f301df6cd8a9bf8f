"""What an order blocks and what its fills cost, in paise. The rates are `saras_common.charges`."""

from datetime import date
from fractions import Fraction

from kite_sandbox.engine.model import Account, Order, Product, Side
from kite_sandbox.instruments import Instrument
from saras_common.charges import DP_CHARGE_PAISE, exact_charges, order_charges

SHORT_PART = Fraction(1, 5)
"""Part of an opening sale's value that is blocked until it trades."""


def charges_paise(instrument: Instrument, product: Product, side: Side, value_paise: int, day: date) -> int:
    """Charges of one broker order over fills of ``value_paise``, rounded once, without the depository fee."""
    return order_charges(instrument.exchange, product, side, value_paise, day).total_paise


def exact_rupee_charges(
    instrument: Instrument,
    product: Product,
    side: Side,
    value_paise: int,
    day: date,
) -> dict[str, Fraction]:
    """Unrounded charges by kind, in rupees, as the contract note shows them."""
    exact = exact_charges(instrument.exchange, product, side, value_paise, day)
    return {kind: paise / 100 for kind, paise in exact.items()}


def fill_charges(account: Account, order: Order, value_paise: int, day: date) -> tuple[int, int]:
    """What a fill of ``value_paise`` adds: the order's charges, and the depository's fee on the day's first sale."""
    total = charges_paise(order.instrument, order.product, order.side, order.value_paise + value_paise, day)
    is_first_sale = (
        order.product is Product.CNC
        and order.side is Side.SELL
        and order.instrument.depository_key not in account.dp_charged
    )
    return total - order.charges_paise, DP_CHARGE_PAISE if is_first_sale else 0


def opening_quantity(account: Account, instrument: Instrument, product: Product, side: Side, quantity: int) -> int:
    """The part of an order that does not merely close a position of the same product."""
    net = account.net_quantity(instrument.key, product)
    closing = max(-net, 0) if side is Side.BUY else max(net, 0)
    return max(quantity - closing, 0)


def margin_paise(
    account: Account,
    instrument: Instrument,
    product: Product,
    side: Side,
    quantity: int,
    price_paise: int,
) -> int:
    """What an order claims besides its charges.

    A purchase claims its value, an opening intraday sale a fifth of it; what closes a position claims nothing, and a
    delivery sale claims shares, not money.
    """
    if side is Side.SELL and product is Product.CNC:
        return 0
    value = opening_quantity(account, instrument, product, side, quantity) * price_paise
    return value if side is Side.BUY else int(value * SHORT_PART)


def blocked_paise(
    account: Account,
    instrument: Instrument,
    product: Product,
    side: Side,
    quantity: int,
    price_paise: int,
    day: date,
) -> int:
    """Money an order of ``quantity`` at ``price_paise`` claims until it trades or goes: margin, and charges with it.

    A sale that opens nothing claims nothing: its proceeds pay its charges.
    """
    margin = margin_paise(account, instrument, product, side, quantity, price_paise)
    if side is Side.SELL and not margin:
        return 0
    return margin + charges_paise(instrument, product, side, quantity * price_paise, day)
