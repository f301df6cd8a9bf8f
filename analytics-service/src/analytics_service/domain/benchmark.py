"""A portfolio against its benchmark: beta, alpha, tracking error, information ratio."""

from dataclasses import dataclass

import numpy as np

from analytics_service.domain.figures import Bools, Column, Floats, Reason, column
from analytics_service.domain.returns import Returns
from analytics_service.domain.risk import TWO, moments, per_period


@dataclass(frozen=True, slots=True, eq=False)
class Relative:
    """Figures against the benchmark, over the days both have a return for."""

    benchmark_return: Column
    beta: Column
    alpha: Column
    tracking_error: Column
    information_ratio: Column


def benchmark_returns(returns: Returns, levels: Floats | None) -> Floats:
    """The benchmark's return over the very span of each of the portfolio's, NaN where either is unknown.

    ``levels`` is ``(days,)`` or ``(portfolios, days)``. A return on the first deposit's day spans from the close
    before it.
    """
    if levels is None or not len(returns.days):
        return np.full(returns.daily.shape, np.nan)
    yesterday = np.arange(len(returns.days)) - 1
    start = np.where(returns.previous >= 0, returns.previous, yesterday)
    levels = np.broadcast_to(levels, returns.daily.shape)
    from_level = np.where(start >= 0, np.take_along_axis(levels, np.maximum(start, 0), axis=1), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        moved = levels / from_level - 1
    return np.where(np.isnan(returns.daily) | ~np.isfinite(moved), np.nan, moved)


def relative(returns: Returns, levels: Floats | None, risk_free: float, periods_per_year: int) -> Relative:
    """Every figure against the benchmark."""
    market = benchmark_returns(returns, levels)
    both = np.where(np.isnan(market), np.nan, returns.daily)
    free = per_period(risk_free, periods_per_year)
    market_moments, own = moments(market), moments(both)
    few: tuple[Bools, Reason] = (own.count < TWO, Reason.NO_BENCHMARK)
    unknown = (*returns.unknown, few)
    active = moments(both - market)
    with np.errstate(divide="ignore", invalid="ignore"):
        joint = (both - own.mean[:, None]) * (market - market_moments.mean[:, None])
        covariance = np.nansum(joint, axis=1) / (own.count - 1)
        beta = covariance / np.square(market_moments.deviation)
        excess = own.mean - free - beta * (market_moments.mean - free)
        alpha = (1 + excess) ** periods_per_year - 1
        ratio = active.mean / active.deviation * np.sqrt(periods_per_year)
    compounded = np.prod(1 + np.nan_to_num(market), axis=1) - 1
    return Relative(
        column(compounded, *unknown),
        column(beta, *unknown, market_moments.flat),
        column(alpha, *unknown, market_moments.flat),
        column(active.deviation * np.sqrt(periods_per_year), *unknown),
        column(ratio, *unknown, active.flat),
    )
