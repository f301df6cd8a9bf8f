"""Users' orders as a schedule draws them: strangers to one another, or a herd that shares a block."""

import random
from collections.abc import Sequence
from typing import Any

from saras_common.events import OrderAccepted, Side
from trade_executor.testing.world import World

INSTRUMENTS = ("NSE:INFY", "NSE:TCS")
SIDES: tuple[Side, ...] = ("BUY", "BUY", "SELL")


def chance(draw: random.Random, percent: int) -> bool:
    """True in so many of a hundred cases."""
    return draw.randrange(100) < percent


def draw_orders(draw: random.Random, world: World, earlier: Sequence[OrderAccepted]) -> list[OrderAccepted]:
    """A handful of new orders; some users have ordered before, some orders are the house's."""
    count = draw.randint(1, 5)
    if chance(draw, 50):
        terms = _terms(draw, world)
        return [_order(draw, world, terms, earlier) for _ in range(count + 1)]
    return [_order(draw, world, _terms(draw, world), earlier) for _ in range(count)]


def draw_dozen(world: World) -> list[OrderAccepted]:
    """Each at a price of its own, so that each needs a broker order: more than a second may take."""
    price = world.broker.prices[INSTRUMENTS[0]]
    return [
        world.order(5, instrument=INSTRUMENTS[0], order_type="LIMIT", price_paise=price + 5 * number)
        for number in range(12)
    ]


def draw_resting(draw: random.Random, world: World) -> list[OrderAccepted]:
    """Buys of one block, below the market."""
    price = world.broker.prices[INSTRUMENTS[0]] - 1000
    return [
        world.order(draw.randint(1, 40), instrument=INSTRUMENTS[0], order_type="LIMIT", price_paise=price)
        for _ in range(draw.randint(4, 7))
    ]


def _terms(draw: random.Random, world: World) -> dict[str, Any]:
    instrument = draw.choice(INSTRUMENTS)
    terms: dict[str, Any] = {
        "instrument": instrument,
        "side": draw.choice(SIDES),
        "product": draw.choice(("CNC", "MIS")),
        "validity": "IOC" if chance(draw, 10) else "DAY",
    }
    if chance(draw, 45):
        price = world.broker.prices[instrument] + draw.choice((-1000, -500, 0, 500, 1000))
        terms |= {"order_type": "LIMIT", "price_paise": price}
    return terms


def _order(draw: random.Random, world: World, terms: dict[str, Any], earlier: Sequence[OrderAccepted]) -> OrderAccepted:
    more: dict[str, Any] = {}
    if earlier and chance(draw, 30):
        more["user_id"] = draw.choice(earlier).user_id
    if chance(draw, 10):
        more["house"] = True
    return world.order(draw.choice((1, 3, 10, 77, draw.randint(1, 50))), **terms, **more)
