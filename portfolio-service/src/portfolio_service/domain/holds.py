"""How much an order sets aside: quantity * the highest price it may fill at, and the charges at worst."""

from datetime import date
from fractions import Fraction
from functools import lru_cache

from saras_common.charges import exact_charges

SLACK_PAISE = 8
"""Splitting value and seven kinds of charge to whole paise may give an order up to a paisa more of each."""

_SAMPLE_PAISE = 100_000
"""Small enough that no capped charge reaches its cap: a block of few large orders may not reach it either."""


@lru_cache(maxsize=256)
def _worst_rate(exchange: str, product: str, side: str, day: date) -> tuple[int, int]:
    exact = exact_charges(exchange, product, side, _SAMPLE_PAISE, day)
    rate = sum(exact.values(), Fraction(0)) / _SAMPLE_PAISE
    return rate.numerator, rate.denominator


def worst_charges(exchange: str, product: str, side: str, value_paise: int, day: date) -> int:
    """Paise that charges on ``value_paise`` cannot exceed, however the block is cut into broker orders."""
    numerator, denominator = _worst_rate(exchange, product, side, day)
    return -(-value_paise * numerator // denominator) + SLACK_PAISE


def buy_hold(exchange: str, product: str, quantity: int, cap_paise: int, day: date) -> int:
    """Paise to reserve for a buy of ``quantity`` at no more than ``cap_paise`` each."""
    value = quantity * cap_paise
    return value + worst_charges(exchange, product, "BUY", value, day)


def protected_price(last_paise: int, band_percent: int, tick_paise: int) -> int:
    """``last_paise`` plus the protection band, up to the next tick: what a buy without a limit may cost at most."""
    return -(-last_paise * (100 + band_percent) // (100 * tick_paise)) * tick_paise
