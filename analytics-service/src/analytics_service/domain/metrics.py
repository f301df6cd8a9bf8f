"""Every figure of one or ten thousand portfolios, in one pass over arrays of portfolios by days."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from analytics_service.domain.benchmark import relative
from analytics_service.domain.figures import Column, Days, Metrics, Reason, column
from analytics_service.domain.history import Histories
from analytics_service.domain.returns import (
    Returns,
    annualised_by_count,
    compound_annual,
    daily_returns,
    modified_dietz,
    money_weighted,
    time_weighted,
)
from analytics_service.domain.risk import (
    calmar,
    drawdowns,
    extremes,
    historical_tail,
    monthly,
    parametric_tail,
    sharpe,
    sortino,
    volatility,
)
from analytics_service.domain.xirr import CONVENTION as XIRR_CONVENTION

PART = 256
"""Portfolios computed together: their arrays of five years fit the processor's cache."""

TRAILING_MONTHS = {"return_1m": 1, "return_3m": 3, "return_6m": 6, "return_1y": 12}


@dataclass(frozen=True, slots=True)
class Conventions:
    """What the figures assume; each figure's ``convention`` spells it out."""

    periods_per_year: int = 252
    """Returns in a year, for volatility and the ratios."""
    risk_free: float = 0.0
    """A year, compounded; ratio."""
    minimum_acceptable: float = 0.0
    """A year, compounded; ratio. Sortino's threshold."""
    confidence: float = 0.95
    """Of value at risk and expected shortfall, over one period."""


STANDARD = Conventions()


def metrics(histories: Histories, conventions: Conventions = STANDARD, *, workers: int = 1) -> Metrics:
    """Every figure of every portfolio, by the names of `conventions_of`; linear in portfolios.

    Works through parts of `PART` portfolios on ``workers`` threads (numpy lets go of the interpreter), so memory beyond
    the histories stays small. One portfolio is a batch of one: ``metrics(history).of(0)``.
    """
    parts = [histories.part(start, start + PART) for start in range(0, max(len(histories), 1), PART)]
    if workers > 1:
        with ThreadPoolExecutor(workers) as pool:
            done = list(pool.map(lambda part: _columns(part, conventions), parts))
    else:
        done = [_columns(part, conventions) for part in parts]
    joined = {name: _joined([columns[name] for columns in done]) for name in done[0]}
    return Metrics(joined, conventions_of(conventions))


@np.errstate(over="ignore", invalid="ignore")  # what overflows is not finite, and unknown as `TOO_LARGE`
def _columns(histories: Histories, conventions: Conventions) -> dict[str, Column]:
    year, free = conventions.periods_per_year, conventions.risk_free
    returns = daily_returns(histories)
    annual = compound_annual(returns)
    drawdown = drawdowns(returns)
    days = extremes(returns, returns.daily, returns.days)
    months = extremes(returns, *monthly(returns))
    historical = historical_tail(returns, conventions.confidence)
    parametric = parametric_tail(returns, conventions.confidence)
    against = relative(returns, histories.benchmark, free, year)
    return {
        "twr": time_weighted(returns),
        "cagr": annual,
        "annualised_return": annualised_by_count(returns, year),
        "modified_dietz": modified_dietz(histories, returns),
        "xirr": money_weighted(histories, returns),
        "volatility": volatility(returns, year),
        "sharpe": sharpe(returns, free, year),
        "sortino": sortino(returns, conventions.minimum_acceptable, year),
        "calmar": calmar(annual, drawdown.deepest),
        "max_drawdown": drawdown.deepest,
        "current_drawdown": drawdown.current,
        "best_day": days.best,
        "worst_day": days.worst,
        "best_month": months.best,
        "worst_month": months.worst,
        "var_historical": historical.at_risk,
        "cvar_historical": historical.shortfall,
        "var_parametric": parametric.at_risk,
        "cvar_parametric": parametric.shortfall,
        "benchmark_return": against.benchmark_return,
        "beta": against.beta,
        "alpha": against.alpha,
        "tracking_error": against.tracking_error,
        "information_ratio": against.information_ratio,
        **{name: trailing(returns, count) for name, count in TRAILING_MONTHS.items()},
    }


def trailing(returns: Returns, months: int) -> Column:
    """Growth since the same day ``months`` before the last valuation."""
    if not len(returns.days):
        return column(np.full(len(returns.first), np.nan), *returns.unknown)
    growth = returns.growth
    rows = np.arange(len(growth))
    cutoffs = months_before(returns.days[returns.last], months)
    start = np.searchsorted(returns.days, cutoffs, side="right") - 1
    short = (start < 0) | (start < returns.first)
    with np.errstate(divide="ignore", invalid="ignore"):
        grown = growth[rows, returns.last] / growth[rows, start] - 1
    return column(grown, *returns.unknown, (short, Reason.TOO_FEW_RETURNS), (~np.isfinite(grown), Reason.NO_CAPITAL))


def months_before(days: Days, months: int) -> Days:
    """The same day of an earlier month, or that month's last day where it is shorter."""
    month = days.astype("datetime64[M]")
    day_of_month = days.astype("datetime64[D]") - month.astype("datetime64[D]")
    earlier = month - months
    end = (earlier + 1).astype("datetime64[D]") - 1
    found: Days = np.minimum(earlier.astype("datetime64[D]") + day_of_month, end)
    return found


def _joined(parts: Sequence[Column]) -> Column:
    dates = {name: np.concatenate([part.dates[name] for part in parts]) for name in parts[0].dates}
    values = np.concatenate([part.values for part in parts])
    return Column(values, np.concatenate([part.reasons for part in parts]), dates)


def conventions_of(conventions: Conventions = STANDARD) -> Mapping[str, str]:
    """The convention of each figure, in words."""
    year = conventions.periods_per_year
    free, least = f"{conventions.risk_free:.2%} a year", f"{conventions.minimum_acceptable:.2%} a year"
    level = f"{conventions.confidence:.0%}"
    spread = f"sample standard deviation (n - 1) × sqrt({year})"
    ends = "compounded by calendar month; the first and last may be partial"
    market = "over the days both have a return for"
    since = "time-weighted, up to the last valuation"
    return {
        "twr": "time-weighted, daily, deposits at the start of the day and withdrawals at its end, not annualised",
        "cagr": "time-weighted, a year by the calendar (Actual/365), from 365 days",
        "annualised_return": f"time-weighted, a year of {year} returns, from a year of them",
        "modified_dietz": "ESTIMATE: modified Dietz, flows weighted by days, not annualised",
        "xirr": XIRR_CONVENTION,
        "volatility": f"of daily returns, {spread}",
        "sharpe": f"mean excess over {free} by its {spread}",
        "sortino": f"mean excess over {least} by downside deviation over all returns, × sqrt({year})",
        "calmar": "CAGR by the size of the deepest drawdown",
        "max_drawdown": "deepest fall from an earlier high of the time-weighted index; the start counts as a high",
        "current_drawdown": "last close of the time-weighted index against its high",
        "best_day": "highest daily return",
        "worst_day": "lowest daily return",
        "best_month": f"highest return {ends}",
        "worst_month": f"lowest return {ends}",
        "var_historical": f"{level}, one day, as a return: interpolated quantile of the observed returns",
        "cvar_historical": f"{level}, one day, as a return: mean of the worst observed returns up to the quantile",
        "var_parametric": f"{level}, one day, as a return: normal with the observed mean and deviation",
        "cvar_parametric": f"{level}, one day, as a return: normal mean beyond the quantile",
        "benchmark_return": f"the benchmark's, compounded {market}",
        "beta": f"covariance with the benchmark by its variance, {market}",
        "alpha": f"mean of daily excess over {free} and beta × the benchmark's, compounded over {year}, {market}",
        "tracking_error": f"of the difference to the benchmark, {spread}, {market}",
        "information_ratio": f"mean difference to the benchmark by its deviation, × sqrt({year}), {market}",
        "return_1m": f"{since}, one month",
        "return_3m": f"{since}, three months",
        "return_6m": f"{since}, six months",
        "return_1y": f"{since}, one year",
    }
