"""A basket's index: 100 at its start; units are fixed at each version and chained, so no change of weights moves it.

Statistics, not money: floats are right here. Prices are adjusted for splits and bonuses before they come in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

BASE = 100.0

Closes = Mapping[str, Mapping[date, float]]
"""Adjusted close by instrument and day."""


@dataclass(frozen=True, slots=True)
class Composition:
    """Weights (parts of a million) in force from the close of ``since`` on."""

    since: date
    weights: Mapping[str, int]


def units_for(level: float, weights: Mapping[str, int], prices: Mapping[str, float]) -> dict[str, float]:
    """Units of each constituent that are worth ``level`` in these weights at these prices."""
    return {name: level * weight / 1_000_000 / prices[name] for name, weight in weights.items()}


def level_of(units: Mapping[str, float], prices: Mapping[str, float]) -> float:
    """``Σ u·p``."""
    return sum(count * prices[name] for name, count in units.items())


def series(compositions: Sequence[Composition], closes: Closes) -> list[tuple[date, float]]:
    """The index at every close from the first composition on at which all its constituents have a price.

    A composition takes effect at the first such close on or after its day, at that close's prices.
    """
    days = sorted({day for prices in closes.values() for day in prices})
    pending = sorted(compositions, key=lambda composition: composition.since)
    units: dict[str, float] = {}
    points: list[tuple[date, float]] = []
    for day in days:
        if units and all(day in closes.get(name, {}) for name in units):
            points.append((day, level_of(units, {name: closes[name][day] for name in units})))
        due = [one for one in pending if one.since <= day and all(day in closes.get(name, {}) for name in one.weights)]
        if not due or (units and (not points or points[-1][0] != day)):
            continue
        level = points[-1][1] if points else BASE
        units = units_for(level, due[-1].weights, {name: closes[name][day] for name in due[-1].weights})
        if not points:
            points.append((day, BASE))
        pending = [one for one in pending if one.since > due[-1].since]
    return points


def adjusted(raw: Mapping[date, int], actions: Sequence[tuple[date, Fraction]]) -> dict[date, float]:
    """Closes as if every share had always been today's: before an ex-day, divided by new shares per old one."""
    factors = sorted(actions)
    result = {}
    for day, close in raw.items():
        factor = Fraction(1)
        for ex_day, ratio in factors:
            if day < ex_day:
                factor *= ratio
        result[day] = float(close / factor)
    return result
