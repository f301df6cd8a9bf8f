"""Rolling figures of one portfolio: the same conventions over a window that moves a return at a time."""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from analytics_service.domain.figures import Days, Floats
from analytics_service.domain.risk import distance_below_high, moments, per_period


@dataclass(frozen=True, slots=True, eq=False)
class Rolling:
    """Figures over the ``window`` returns that end on each day; all of shape ``(observations − window + 1,)``.

    Returns are ratios over the window, volatility and Sharpe a year. NaN where nothing varies or the market is unknown.
    """

    window: int
    days: Days
    total_return: Floats
    volatility: Floats
    sharpe: Floats
    max_drawdown: Floats
    beta: Floats


def rolling(
    days: Days,
    daily: Floats,
    window: int,
    *,
    market: Floats | None = None,
    risk_free: float = 0.0,
    periods_per_year: int = 252,
) -> Rolling:
    """Rolling figures of ``daily`` returns, shape ``(days,)``; days without a return are left out.

    ``market`` is the benchmark's return on the same days. Empty when there are fewer returns than ``window`` ≥ 2.
    """
    seen = ~np.isnan(daily)
    ends, own = days[seen], daily[seen]
    if len(own) < window:
        nothing = np.empty(0)
        return Rolling(window, ends[:0], nothing, nothing, nothing, nothing, nothing)
    views = sliding_window_view(own, window)
    spread = moments(views - per_period(risk_free, periods_per_year))
    growth = np.cumprod(1 + views, axis=1, dtype=np.float64)
    varies = spread.deviation > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(varies, spread.mean / spread.deviation * np.sqrt(periods_per_year), np.nan)
    return Rolling(
        window,
        ends[window - 1 :],
        growth[:, -1] - 1,
        spread.deviation * np.sqrt(periods_per_year),
        ratio,
        distance_below_high(growth).min(axis=1),
        _beta(views, np.full(len(own), np.nan) if market is None else market[seen]),
    )


def _beta(views: Floats, market: Floats) -> Floats:
    """Covariance with the market by its variance in each window; NaN where a day of it is unknown."""
    against = sliding_window_view(market, views.shape[1])
    from_mean = against - against.mean(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        beta: Floats = (views * from_mean).sum(axis=1) / np.square(from_mean).sum(axis=1)
    return np.where(np.isfinite(beta), beta, np.nan)
