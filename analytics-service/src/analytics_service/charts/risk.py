"""Risk over time, and how the holdings move together."""

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from analytics_service.charts.history import PortfolioHistory
from analytics_service.charts.style import BLUE, DIVERGING, GREEN, GREY, ORANGE, labels, listed, message, titled
from analytics_service.charts.worth import TWO, iso
from analytics_service.domain.benchmark import benchmark_returns
from analytics_service.domain.figures import Floats
from analytics_service.domain.rolling import rolling

QUARTER, YEAR = 63, 252
"""Returns in the windows."""
MOST = 16
"""Holdings in the correlation."""


def rolling_risk(history: PortfolioHistory) -> go.Figure:
    """Volatility over a quarter and a year, Sharpe and beta over a year (a quarter where there is less)."""
    title = f"{history.title} — rolling risk"
    returns = history.returns()
    daily = returns.daily[0]
    if returns.count[0] < QUARTER:
        return message(title, f"Needs {QUARTER} daily returns, there are {returns.count[0]}.")
    market = benchmark_returns(returns, history.benchmark if len(history.benchmark) else None)[0]
    quarter = rolling(returns.days, daily, QUARTER, market=market)
    year = rolling(returns.days, daily, YEAR, market=market)
    longest, span = (year, "one year") if len(year.days) else (quarter, "three months")
    has_beta = bool(np.any(~np.isnan(longest.beta)))
    figure = make_subplots(
        rows=3 if has_beta else 2, cols=1, shared_xaxes=True, vertical_spacing=0.09,
        subplot_titles=["Volatility, a year", f"Sharpe ratio, {span}", f"Beta, {span}"][: 3 if has_beta else 2],
    )  # fmt: skip
    for label, one, style in (
        ("Three months", quarter, {"color": ORANGE, "width": 1.5}),
        ("One year", year, {"color": BLUE, "width": 2.2}),
    ):
        if len(one.days):
            figure.add_scatter(
                x=iso(one.days), y=listed(one.volatility), name=label, line=style, hovertemplate="%{y:.1%}",
                row=1, col=1,
            )  # fmt: skip
    rows: list[tuple[str, Floats, str, int]] = [("Sharpe", longest.sharpe, BLUE, 2)]
    if has_beta:
        rows.append(("Beta", longest.beta, GREEN, 3))
    for label, values, colour, row in rows:
        figure.add_scatter(
            x=iso(longest.days), y=listed(values), name=label, line={"color": colour, "width": 2}, showlegend=False,
            hovertemplate="%{y:.2f}", row=row, col=1,
        )  # fmt: skip
    if has_beta:
        figure.add_hline(y=1, line={"color": GREY, "width": 1, "dash": "dot"}, row=3, col=1)
    titled(figure, title, f"Windows of {QUARTER} and {YEAR} daily returns, each point the window that ends there")
    figure.update_layout(hovermode="x unified", margin={"t": 116})
    figure.update_yaxes(nticks=5)
    figure.update_yaxes(tickformat=".0%", rangemode="tozero", row=1, col=1)
    for caption in figure.layout.annotations:
        caption.update(x=0, xanchor="left", font={"size": 14, "color": GREY})
    return figure


def correlation(history: PortfolioHistory) -> go.Figure:
    """Correlation of daily returns of the largest holdings, pair by pair over the days both have."""
    title = f"{history.title} — correlation"
    names = _largest(history)
    if len(names) < TWO:
        return message(title, "Needs prices of two holdings.")
    matrix = correlations(np.array([history.closes[name] for name in names]))
    axis = labels(names)
    figure = go.Figure()
    figure.add_heatmap(
        x=axis, y=axis, z=[listed(row) for row in matrix], zmin=-1, zmax=1, colorscale=DIVERGING, xgap=2, ygap=2,
        hoverongaps=False, texttemplate="%{z:.2f}", textfont={"size": 12},
        hovertemplate="%{y} and %{x}: %{z:.2f}<extra></extra>",
        colorbar={"tickvals": [-1, -0.5, 0, 0.5, 1], "outlinewidth": 0, "thickness": 14},
    )  # fmt: skip
    titled(figure, title, "Daily returns; 1 moves together, −1 against, 0 apart")
    figure.update_xaxes(type="category", tickangle=-35, showline=False, ticks="")
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False)
    return figure


def _largest(history: PortfolioHistory) -> list[str]:
    """Instruments with closes, largest holding first."""
    worth = {holding.instrument: holding.value_paise for holding in history.holdings}
    return sorted(history.closes, key=lambda name: (-worth.get(name, 0), name))[:MOST]


def correlations(closes: Floats) -> Floats:
    """Pearson's correlation of the daily returns of ``closes`` (instruments × days); NaN with fewer than 20 in common.

    A day's return needs that close and the one before it.
    """
    import pandas as pd

    with np.errstate(divide="ignore", invalid="ignore"):
        returns = closes[:, 1:] / closes[:, :-1] - 1
    found: Floats = pd.DataFrame(returns.T).corr(min_periods=20).to_numpy()
    return found
