"""Risk of many portfolios at once, from returns of shape ``(portfolios, days)`` with NaN where there is none.

Spreads are sample standard deviations (n − 1). Losses are negative throughout: drawdown, value at risk, worst day.
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from analytics_service.domain.figures import Bools, Column, Counts, Days, Floats, Reason, column
from analytics_service.domain.returns import Returns

TWO = 2
"""Observations a spread needs."""
_FLAT = 1e-12
"""A spread below this is rounding, not variation."""


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Count, mean and sample standard deviation of each row, NaN left out; shape ``(portfolios,)``."""

    count: Counts
    mean: Floats
    deviation: Floats

    @property
    def few(self) -> tuple[Bools, Reason]:
        return self.count < TWO, Reason.TOO_FEW_RETURNS

    @property
    def flat(self) -> tuple[Bools, Reason]:
        return ~(self.deviation > _FLAT), Reason.NO_VARIATION


def moments(daily: Floats) -> Moments:
    """Moments of the observations of each row."""
    seen = ~np.isnan(daily)
    count: Counts = np.count_nonzero(seen, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.sum(daily, axis=1, where=seen) / count
        squares = np.sum(np.square(daily - mean[:, None]), axis=1, where=seen)
        deviation = np.sqrt(squares / (count - 1))
    return Moments(count, mean, np.where(count < TWO, np.nan, deviation))


def per_period(annual: float, periods_per_year: int) -> float:
    """The rate of one period that compounds to ``annual``."""
    return float((1 + annual) ** (1 / periods_per_year) - 1)


def volatility(returns: Returns, periods_per_year: int) -> Column:
    """Standard deviation, a year."""
    seen = moments(returns.daily)
    return column(seen.deviation * np.sqrt(periods_per_year), *returns.unknown, seen.few)


def sharpe(returns: Returns, risk_free: float, periods_per_year: int) -> Column:
    """Mean excess over the risk-free return by its standard deviation, a year."""
    seen = moments(returns.daily - per_period(risk_free, periods_per_year))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = seen.mean / seen.deviation * np.sqrt(periods_per_year)
    return column(ratio, *returns.unknown, seen.few, seen.flat)


def sortino(returns: Returns, minimum_acceptable: float, periods_per_year: int) -> Column:
    """Mean excess over the minimum acceptable return by downside deviation (over all observations), a year."""
    excess = returns.daily - per_period(minimum_acceptable, periods_per_year)
    seen = moments(excess)
    shortfall = np.minimum(excess, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        downside = np.sqrt(np.nansum(np.square(shortfall), axis=1) / seen.count)
        ratio = seen.mean / downside * np.sqrt(periods_per_year)
    return column(ratio, *returns.unknown, seen.few, (~(downside > _FLAT), Reason.NO_DOWNSIDE))


@dataclass(frozen=True, slots=True, eq=False)
class Drawdowns:
    """The deepest fall from an earlier high, and the present one."""

    deepest: Column
    """≤ 0; dates ``peak_on``, ``trough_on``, ``recovered_on`` (none while under water)."""
    current: Column
    """≤ 0; date ``peak_on`` (none at a high)."""


def underwater(returns: Returns) -> Floats:
    """Distance below the highest close so far (the start counts as one), ≤ 0, shape ``(portfolios, days)``."""
    return distance_below_high(returns.growth)


def distance_below_high(growth: Floats) -> Floats:
    """``growth`` against its own high so far, 1 at the start; what is within rounding of the high is at it."""
    below: Floats = growth / np.maximum(np.maximum.accumulate(growth, axis=1), 1) - 1
    below[below > -_FLAT] = 0
    return below


def drawdowns(returns: Returns) -> Drawdowns:
    """Deepest and current drawdown with their dates."""
    if not len(returns.days):
        nothing = column(np.full(len(returns.first), np.nan), *returns.unknown)
        return Drawdowns(nothing, nothing)
    below = underwater(returns)
    rows = np.arange(len(below))
    index = np.arange(below.shape[1])
    trough = below.argmin(axis=1)
    deepest = below[rows, trough]
    fallen = deepest < 0
    after = index > trough[:, None]
    recovered = (after & (below >= 0)).argmax(axis=1)
    has_recovered = (after & (below >= 0))[rows, recovered] & fallen
    current = below[rows, returns.last]
    dates = {
        "peak_on": _dated(returns.days, _last_high(returns, below, trough), fallen),
        "trough_on": _dated(returns.days, trough, fallen),
        "recovered_on": _dated(returns.days, recovered, has_recovered),
    }
    since = {"peak_on": _dated(returns.days, _last_high(returns, below, returns.last), current < 0)}
    return Drawdowns(
        column(deepest, *returns.unknown, dates=dates),
        column(current, *returns.unknown, dates=since),
    )


def _last_high(returns: Returns, below: Floats, upto: Counts) -> Counts:
    """Index of the last day at a high up to ``upto``; the start when it never rose above it."""
    index = np.arange(below.shape[1])
    valued = ~np.isnan(returns.daily) | (index == returns.first[:, None])
    high = np.where((below >= 0) & valued & (index <= upto[:, None]), index, -1).max(axis=1)
    found: Counts = np.where(high < 0, np.minimum(returns.first, below.shape[1] - 1), high)
    return found


def _dated(days: Days, index: Counts, known: Bools) -> Days:
    return np.where(known, days[index], np.datetime64("NaT"))


def calmar(annual: Column, deepest: Column) -> Column:
    """Compound annual return by the deepest drawdown's size."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = annual.values / -deepest.values
    known = column(ratio, (~(deepest.values < 0), Reason.NO_DRAWDOWN))
    reasons = np.where(annual.reasons > 0, annual.reasons, known.reasons)
    return Column(np.where(reasons > 0, np.nan, ratio), reasons)


@dataclass(frozen=True, slots=True, eq=False)
class Extremes:
    """Best and worst return of one length of period; the date is the day, or the first of the month."""

    best: Column
    worst: Column


def extremes(returns: Returns, periods: Floats, starts: Days) -> Extremes:
    """Best and worst of ``periods`` (portfolios × periods, NaN where none), which begin on ``starts``."""
    if not len(starts):
        nothing = column(np.full(len(returns.first), np.nan), *returns.unknown)
        return Extremes(nothing, nothing)
    rows = np.arange(len(periods))
    seen = ~np.isnan(periods)
    high = np.where(seen, periods, -np.inf).argmax(axis=1)
    low = np.where(seen, periods, np.inf).argmin(axis=1)
    return Extremes(
        column(periods[rows, high], *returns.unknown, dates={"on": starts[high]}),
        column(periods[rows, low], *returns.unknown, dates={"on": starts[low]}),
    )


def monthly(returns: Returns) -> tuple[Floats, Days]:
    """Returns compounded by calendar month, ``(portfolios, months)``, NaN in months without one; first days of months.

    A bridged gap counts in the month it ends in. The first and last month may be partial.
    """
    months = returns.days.astype("datetime64[M]")
    starts = np.flatnonzero(np.concatenate([[True], months[1:] != months[:-1]])) if len(months) else np.zeros(0, int)
    if not len(starts):
        return np.empty((len(returns.first), 0)), months
    compounded = np.multiply.reduceat(1 + np.nan_to_num(returns.daily), starts, axis=1) - 1
    seen = np.logical_or.reduceat(~np.isnan(returns.daily), starts, axis=1)
    return np.where(seen, compounded, np.nan), months[starts].astype("datetime64[D]")


@dataclass(frozen=True, slots=True, eq=False)
class TailRisk:
    """Return over one period at the edge of the tail, and the mean beyond it (expected shortfall)."""

    at_risk: Column
    shortfall: Column


def historical_tail(returns: Returns, confidence: float) -> TailRisk:
    """From the observed returns: the interpolated quantile, and the mean of the worst ``⌊(n−1)(1−c)⌋ + 1`` of them."""
    tail = 1 - confidence
    count = returns.count
    needed = int(np.ceil(1 / tail - 1e-9))
    ordered = np.sort(returns.daily, axis=1)
    rows = np.arange(len(ordered))
    at = np.maximum(count - 1, 0) * tail
    low = at.astype(np.int64)
    high = np.minimum(low + 1, np.maximum(count - 1, 0))
    if not ordered.shape[1]:
        nothing = column(np.full(len(rows), np.nan), *returns.unknown)
        return TailRisk(nothing, nothing)
    quantile = ordered[rows, low] + (ordered[rows, high] - ordered[rows, low]) * (at - low)
    beyond = np.arange(ordered.shape[1]) <= low[:, None]
    shortfall = np.sum(ordered, axis=1, where=beyond) / (low + 1)
    few = (count < needed, Reason.TOO_FEW_RETURNS)
    return TailRisk(column(quantile, *returns.unknown, few), column(shortfall, *returns.unknown, few))


def parametric_tail(returns: Returns, confidence: float) -> TailRisk:
    """As if returns were normal with the observed mean and standard deviation."""
    seen = moments(returns.daily)
    normal = NormalDist()
    z = normal.inv_cdf(1 - confidence)
    at_risk = seen.mean + z * seen.deviation
    shortfall = seen.mean - seen.deviation * normal.pdf(z) / (1 - confidence)
    return TailRisk(column(at_risk, *returns.unknown, seen.few), column(shortfall, *returns.unknown, seen.few))
