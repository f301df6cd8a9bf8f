"""Where the return came from: contribution of each holding, exposure, and Brinson-Fachler effects.

Effects of single periods do not add up to a compounded return. They are linked with Cariño's coefficients
``ln(1 + r) / r`` (D. Cariño, Combining attribution effects over time, Journal of Performance Measurement, 1999), after
which they do.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analytics_service.domain.figures import Floats

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one holding earned. ``pnl_paise`` sums to the profit, ``ratio`` to the time-weighted return."""

    name: str
    pnl_paise: int
    ratio: float | None
    """``None`` when the portfolio's own return is undefined."""


def contributions(names: Sequence[str], pnl_paise: Floats, capital_paise: Floats) -> tuple[Contribution, ...]:
    """Each holding's share of the linked return, largest profit first.

    ``pnl_paise`` is ``(holdings, days)``, each holding's profit of a day: close less previous close less bought plus
    sold plus income less charges, cash as a holding of its own. ``capital_paise`` is ``(days,)``: worth at the previous
    close plus the day's deposits. Undefined when a day earned or lost without capital, or lost more than all of it.
    """
    totals = pnl_paise.sum(axis=1)
    ratios = _linked_ratios(pnl_paise, capital_paise)
    found = [
        Contribution(name, int(totals[row]), None if ratios is None else float(ratios[row]))
        for row, name in enumerate(names)
    ]
    return tuple(sorted(found, key=lambda one: (-one.pnl_paise, one.name)))


def _linked_ratios(pnl: Floats, capital: Floats) -> Floats | None:
    active = (capital != 0) | np.any(pnl != 0, axis=0)
    pnl, capital = pnl[:, active], capital[active]
    if np.any(capital <= 0):
        return None
    daily = pnl / capital
    whole = daily.sum(axis=0)
    if np.any(whole <= -1):
        return None
    coefficients = np.array([_carino(one, 0.0) for one in whole])
    total = math.expm1(float(np.log1p(whole).sum()))
    ratios: Floats = daily @ coefficients / _carino(total, 0.0)
    return ratios


@dataclass(frozen=True, slots=True)
class Exposure:
    """Worth in one group, and its share of the whole (ratio; ``None`` when the whole is worth nothing)."""

    group: str
    value_paise: int
    weight: float | None


def exposure(values_paise: Iterable[tuple[str, int]]) -> tuple[Exposure, ...]:
    """Worth by group (sector, asset class) from ``(group, value)`` of each holding, largest first."""
    groups: dict[str, int] = defaultdict(int)
    for group, value in values_paise:
        groups[group] += value
    whole = sum(groups.values())
    ordered = sorted(groups.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Exposure(group, value, value / whole if whole > 0 else None) for group, value in ordered)


@dataclass(frozen=True, slots=True)
class Segment:
    """One group (sector or asset class) over one period. Weights are ratios at the period's start."""

    portfolio_weight: float
    benchmark_weight: float
    portfolio_return: float
    """Not read where the portfolio holds none."""
    benchmark_return: float
    """Not read where the benchmark holds none."""


@dataclass(frozen=True, slots=True)
class Effects:
    """Brinson-Fachler effects, ratios. Their totals over the groups sum to the active return."""

    allocation: float
    selection: float
    interaction: float

    @property
    def total(self) -> float:
        return self.allocation + self.selection + self.interaction


@dataclass(frozen=True, slots=True)
class _Period:
    portfolio: float
    benchmark: float
    effects: dict[str, Effects]


def brinson_fachler(groups: Mapping[str, Segment]) -> dict[str, Effects]:
    """Effects of one period by group; ``ValueError`` unless the weights of each side sum to 1.

    Allocation ``(w − v)(b_g − b)``, selection ``v(r_g − b_g)``, interaction ``(w − v)(r_g − b_g)`` for weights w, v and
    returns r, b of portfolio and benchmark (Brinson and Fachler, 1985). A group only one side holds has no return on
    the other: held by the benchmark alone it is allocation, by the portfolio alone interaction against the market.
    """
    return _attributed(groups).effects


def _attributed(groups: Mapping[str, Segment]) -> _Period:
    for side in (
        sum(one.portfolio_weight for one in groups.values()),
        sum(one.benchmark_weight for one in groups.values()),
    ):
        if abs(side - 1) > _ROUNDING:
            raise ValueError("weights must sum to 1")
    market = sum(one.benchmark_weight * one.benchmark_return for one in groups.values() if one.benchmark_weight)
    own = sum(one.portfolio_weight * one.portfolio_return for one in groups.values() if one.portfolio_weight)
    return _Period(own, market, {name: _effects(one, market) for name, one in groups.items()})


def _effects(one: Segment, market: float) -> Effects:
    benchmark = one.benchmark_return if one.benchmark_weight else market
    own = one.portfolio_return if one.portfolio_weight else benchmark
    over = one.portfolio_weight - one.benchmark_weight
    return Effects(over * (benchmark - market), one.benchmark_weight * (own - benchmark), over * (own - benchmark))


def brinson_fachler_linked(periods: Sequence[Mapping[str, Segment]]) -> dict[str, Effects]:
    """Effects of several periods in a row, linked so that they sum to the difference of the compounded returns.

    ``ValueError`` when a period lost everything.
    """
    done = [_attributed(groups) for groups in periods]
    if any(one.portfolio <= -1 or one.benchmark <= -1 for one in done):
        raise ValueError("a period that lost everything cannot be linked")
    own = math.prod(1 + one.portfolio for one in done) - 1
    market = math.prod(1 + one.benchmark for one in done) - 1
    whole = _carino(own, market)
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    for one in done:
        scale = _carino(one.portfolio, one.benchmark) / whole
        for name, effects in one.effects.items():
            for index, effect in enumerate((effects.allocation, effects.selection, effects.interaction)):
                sums[name][index] += scale * effect
    return {name: Effects(*effects) for name, effects in sums.items()}


def _carino(own: float, market: float) -> float:
    """``(ln(1 + own) − ln(1 + market)) / (own − market)``; its limit where they are equal."""
    gap = (own - market) / (1 + market)
    return math.log1p(gap) / gap / (1 + market) if gap else 1 / (1 + own)
