"""Every figure of one or ten thousand portfolios, in one pass over arrays of portfolios by days."""

from dataclasses import dataclass

from analytics_service.domain.figures import Metrics
from analytics_service.domain.history import Histories


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


def metrics(histories: Histories, conventions: Conventions = Conventions()) -> Metrics:  # noqa: B008 - frozen
    """Every figure of every portfolio, linear in portfolios, about 100 bytes a portfolio and day at a time.

    Names: ``twr, twr_annualised (cagr), modified_dietz, xirr, volatility, sharpe, sortino, calmar, max_drawdown,
    current_drawdown, best_day, worst_day, best_month, worst_month, var_historical, cvar_historical, var_parametric,
    cvar_parametric, beta, alpha, tracking_error, information_ratio, benchmark_return`` and trailing
    ``return_1m, return_3m, return_6m, return_1y``. One portfolio is a batch of one: ``metrics(h).of(0)``.
    """
    raise NotImplementedError
