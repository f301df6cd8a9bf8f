"""What the exchange, the state and the depository take from a trade, from a table with dates.

Source: the broker's published charge list for equity, as reproduced in the tests. Charges arise per broker order,
over its cumulative fills; the depository fee once per instrument and selling day. Rates are exact fractions; the
total of a broker order is rounded once, half up to the paisa, and its parts follow by largest remainder.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date
from fractions import Fraction
from typing import Self

from saras_common.money import round_half_up

DP_CHARGE_PAISE = 1534
"""Depository participant's fee per ISIN and selling day, GST included."""

CAP_BROKERAGE_PAISE = 2000
"""Intraday brokerage never exceeds ₹20 an executed order."""

GST = Fraction(18, 100)


@dataclass(frozen=True, slots=True)
class Rates:
    """Fractions of the trade's value, valid from a day on until the next row."""

    since: date
    brokerage_intraday: Fraction
    stt_delivery: Fraction
    stt_intraday_sell: Fraction
    exchange_nse: Fraction
    exchange_bse: Fraction
    sebi: Fraction
    stamp_delivery_buy: Fraction
    stamp_intraday_buy: Fraction


def _percent(text: str) -> Fraction:
    return Fraction(text) / 100


RATES: tuple[Rates, ...] = (
    Rates(
        since=date(2024, 10, 1),
        brokerage_intraday=_percent("0.03"),
        stt_delivery=_percent("0.1"),
        stt_intraday_sell=_percent("0.025"),
        exchange_nse=_percent("0.00307"),
        exchange_bse=_percent("0.00375"),
        sebi=_percent("0.0001"),
        stamp_delivery_buy=_percent("0.015"),
        stamp_intraday_buy=_percent("0.003"),
    ),
    Rates(
        since=date(2026, 3, 1),
        brokerage_intraday=_percent("0.03"),
        stt_delivery=_percent("0.1"),
        stt_intraday_sell=_percent("0.025"),
        exchange_nse=_percent("0.00307"),
        exchange_bse=_percent("0.00375"),
        sebi=_percent("0.0001"),
        stamp_delivery_buy=_percent("0.015"),
        stamp_intraday_buy=_percent("0.003"),
    ),
)
"""Oldest first; equity's own rates did not move between the two. An earlier trade is charged the first row."""


@dataclass(frozen=True, slots=True)
class Charges:
    """Paise by kind; ``total_paise`` is their sum."""

    brokerage: int = 0
    stt: int = 0
    exchange: int = 0
    sebi: int = 0
    stamp_duty: int = 0
    gst: int = 0
    dp: int = 0

    @property
    def total_paise(self) -> int:
        return self.brokerage + self.stt + self.exchange + self.sebi + self.stamp_duty + self.gst + self.dp

    def __add__(self, other: Self) -> "Charges":
        return Charges(*(getattr(self, kind) + getattr(other, kind) for kind in KINDS))

    def __sub__(self, other: Self) -> "Charges":
        return Charges(*(getattr(self, kind) - getattr(other, kind) for kind in KINDS))

    def as_tuple(self) -> tuple[int, ...]:
        """Paise in the order of `KINDS`."""
        return tuple(getattr(self, kind) for kind in KINDS)


KINDS: tuple[str, ...] = tuple(field.name for field in fields(Charges))
"""brokerage, stt, exchange, sebi, stamp_duty, gst, dp: the order used wherever charges travel as a row."""


def rates_on(day: date, table: Sequence[Rates] = RATES) -> Rates:
    """The row of the table in force on ``day`` (the exchange's calendar)."""
    return next((row for row in reversed(table) if row.since <= day), table[0])


def exact_charges(exchange: str, product: str, side: str, value_paise: int, day: date) -> dict[str, Fraction]:
    """Unrounded paise by kind for one broker order of ``value_paise``, without the depository fee."""
    rates = rates_on(day)
    buy, intraday = side == "BUY", product == "MIS"
    value = Fraction(value_paise)
    brokerage = min(value * rates.brokerage_intraday, Fraction(CAP_BROKERAGE_PAISE)) if intraday else Fraction(0)
    stt_rate = rates.stt_delivery
    if intraday:
        stt_rate = Fraction(0) if buy else rates.stt_intraday_sell
    turnover = value * (rates.exchange_bse if exchange == "BSE" else rates.exchange_nse)
    sebi = value * rates.sebi
    stamp = value * (rates.stamp_intraday_buy if intraday else rates.stamp_delivery_buy) if buy else Fraction(0)
    return {
        "brokerage": brokerage,
        "stt": value * stt_rate,
        "exchange": turnover,
        "sebi": sebi,
        "stamp_duty": stamp,
        "gst": (brokerage + turnover + sebi) * GST,
    }


def order_charges(exchange: str, product: str, side: str, value_paise: int, day: date, *, dp: bool = False) -> Charges:
    """Charges of one broker order over its fills so far; ``dp`` adds the day's depository fee to it."""
    exact = exact_charges(exchange, product, side, value_paise, day)
    total = sum(exact.values(), Fraction(0))
    left = round_half_up(total.numerator, total.denominator)
    floors = {kind: int(amount) for kind, amount in exact.items()}
    left -= sum(floors.values())
    for kind in sorted(exact, key=lambda kind: floors[kind] - exact[kind])[:left]:
        floors[kind] += 1
    return Charges(**floors, dp=DP_CHARGE_PAISE if dp else 0)


def has_dp_charge(product: str, side: str) -> bool:
    """Whether a sale takes shares out of the depository account."""
    return product == "CNC" and side == "SELL"
