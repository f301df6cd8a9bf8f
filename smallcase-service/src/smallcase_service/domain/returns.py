"""The investor's own return: XIRR, Actual/365, on [−0.9999, 100]. A rate, so a float."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

LOWEST, HIGHEST = -0.9999, 100.0
_GRID = 400
_HALVINGS = 200

Flow = tuple[date, int]
"""A day and paise: < 0 paid in, > 0 taken out or still there."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A yearly rate, or why there is none."""

    value: float | None
    reason: str | None = None


def xirr(flows: Sequence[Flow]) -> Rate:
    """The rate at which the flows are worth nothing on their first day; undefined without exactly one such rate."""
    days: dict[date, int] = {}
    for day, amount in flows:
        days[day] = days.get(day, 0) + amount
    kept = sorted((day, amount) for day, amount in days.items() if amount)
    if len(flows) < 2 or len(kept) < 2:  # noqa: PLR2004 - a rate needs two dates
        return Rate(None, "fewer than two dates with money moved")
    if min(amount for _, amount in kept) > 0 or max(amount for _, amount in kept) < 0:
        return Rate(None, "money moved one way only")
    start = kept[0][0]
    terms = [((day - start).days / 365, float(amount)) for day, amount in kept]
    points = [_grid(n) for n in range(_GRID + 1)]
    worths = [_worth(terms, point) for point in points]
    brackets = [n for n in range(_GRID) if (worths[n] > 0) != (worths[n + 1] > 0)]
    if not brackets:
        return Rate(None, "no rate between −99.99 % and 10,000 % a year explains the flows")
    if len(brackets) > 1:
        return Rate(None, "more than one rate explains the flows")
    return Rate(_root(terms, points[brackets[0]], points[brackets[0] + 1]))


def _grid(number: int) -> float:
    """Points evenly spread in log(1 + rate)."""
    low, high = math.log1p(LOWEST), math.log1p(HIGHEST)
    return math.expm1(low + (high - low) * number / _GRID)


def _worth(terms: Sequence[tuple[float, float]], rate: float) -> float:
    return math.fsum(amount * math.exp(-years * math.log1p(rate)) for years, amount in terms)


def _root(terms: Sequence[tuple[float, float]], low: float, high: float) -> float:
    """The rate in the bracket, by halving: slower than Brent's method, never wrong, and nobody waits for it."""
    at_low = _worth(terms, low) > 0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if (_worth(terms, middle) > 0) == at_low:
            low = middle
        else:
            high = middle
    return (low + high) / 2
