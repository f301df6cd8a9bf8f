"""What a share may cost at worst when it is bought without a limit, and what trades cost on the whole."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from functools import lru_cache

from saras_common.charges import DP_CHARGE_PAISE, exact_charges, order_charges

ORDER_SLACK_PAISE = 9
"""Sharing a block's charges to whole paise may give an order up to a paisa more of each kind, and one for rounding."""

_SAMPLE_PAISE = 100_000


@dataclass(frozen=True, slots=True)
class Quoted:
    """One instrument's last price and tick, paise."""

    instrument: str
    last_paise: int
    tick_paise: int

    @property
    def limit_paise(self) -> int:
        """The last price as a limit an order may have."""
        tick = max(self.tick_paise, 1)
        return -(-self.last_paise // tick) * tick

    def worst_cost(self, band_percent: int, day: date) -> int:
        """Paise one share may cost: the last price with the protection band, up to the next tick, and charges."""
        tick = max(self.tick_paise, 1)
        cap = -(-self.last_paise * (100 + band_percent) // (100 * tick)) * tick
        rate = _rate(self.instrument.partition(":")[0], "BUY", day)
        charge = cap * rate
        return cap - (-charge.numerator // charge.denominator)


@lru_cache(maxsize=64)
def _rate(exchange: str, side: str, day: date) -> Fraction:
    exact = exact_charges(exchange, "CNC", side, _SAMPLE_PAISE, day)
    return sum(exact.values(), Fraction(0)) / _SAMPLE_PAISE


def charge_rate(exchange: str, side: str, day: date) -> Fraction:
    """Share of a delivery trade's value that charges take, without the depository's fee."""
    return _rate(exchange, side, day)


def charges_of(values: Mapping[tuple[str, str], int], day: date) -> int:
    """Paise that delivery trades cost in all; ``values`` are paise by (instrument, side), one broker order each."""
    return sum(
        order_charges(name.partition(":")[0], "CNC", side, value, day, dp=side == "SELL").total_paise
        for (name, side), value in values.items()
        if value
    )


def sell_charges(sells: Sequence[tuple[str, int]], day: date) -> int:
    """Paise that selling these (instrument, value) costs one user at worst: the whole depository fee each."""
    return sum(
        order_charges(name.partition(":")[0], "CNC", "SELL", value, day).total_paise + DP_CHARGE_PAISE
        for name, value in sells
        if value
    )
