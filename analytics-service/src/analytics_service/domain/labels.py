"""What the figures are called where people read them, and how their values are written."""

from collections.abc import Mapping
from typing import NamedTuple

from analytics_service.domain.figures import Figure


class Label(NamedTuple):
    """``percent``: written as a percentage, else as a number."""

    text: str
    percent: bool = True


LABELS: Mapping[str, Label] = {
    "twr": Label("Time-weighted return"),
    "cagr": Label("Compound annual growth (CAGR)"),
    "annualised_return": Label("Annualised return"),
    "xirr": Label("Money-weighted return (XIRR)"),
    "modified_dietz": Label("Modified Dietz (estimate)"),
    "benchmark_return": Label("Benchmark's return"),
    "return_1m": Label("Return, one month"),
    "return_3m": Label("Return, three months"),
    "return_6m": Label("Return, six months"),
    "return_1y": Label("Return, one year"),
    "volatility": Label("Volatility"),
    "sharpe": Label("Sharpe ratio", percent=False),
    "sortino": Label("Sortino ratio", percent=False),
    "calmar": Label("Calmar ratio", percent=False),
    "max_drawdown": Label("Maximum drawdown"),
    "current_drawdown": Label("Current drawdown"),
    "best_day": Label("Best day"),
    "worst_day": Label("Worst day"),
    "best_month": Label("Best month"),
    "worst_month": Label("Worst month"),
    "var_historical": Label("Value at risk, historical"),
    "cvar_historical": Label("Expected shortfall, historical"),
    "var_parametric": Label("Value at risk, parametric"),
    "cvar_parametric": Label("Expected shortfall, parametric"),
    "beta": Label("Beta", percent=False),
    "alpha": Label("Alpha"),
    "tracking_error": Label("Tracking error"),
    "information_ratio": Label("Information ratio", percent=False),
}
"""Every figure of `metrics`, in the order to show them."""


def shown(name: str, figure: Figure) -> str:
    """The value to two places, or why there is none.

    >>> shown("twr", Figure(0.13754, ""))
    '13.75 %'
    """
    if figure.value is None:
        return str(figure.reason or "unknown").replace("_", " ")
    return f"{figure.value * 100:.2f} %" if LABELS[name].percent else f"{figure.value:.2f}"
