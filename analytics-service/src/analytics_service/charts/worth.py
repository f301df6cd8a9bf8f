"""Worth over time: value and flows, drawdown, and the portfolio against its benchmark."""

from html import escape

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from analytics_service.charts.history import PortfolioHistory
from analytics_service.charts.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    VERMILLION,
    in_rupees,
    listed,
    message,
    rupee_axis,
    titled,
)
from analytics_service.domain.benchmark import benchmark_returns
from analytics_service.domain.figures import Days
from analytics_service.domain.risk import drawdowns, underwater

TWO = 2
_BARS = 150
"""Bars of flows that would fill the panel."""
_DAY_MS = 86_400_000
_NOTHING_VALUED = "Nothing has been valued yet."


def iso(days: Days) -> list[str]:
    """Dates as plotly reads them."""
    return [str(day) for day in days]


def value(history: PortfolioHistory) -> go.Figure:
    """Worth at each close over what was paid in, and the money that moved below."""
    title = f"{history.title} — value and flows"
    known = ~np.isnan(history.values)
    if not known.any():
        return message(title, _NOTHING_VALUED)
    paid = history.deposits - history.withdrawals
    first = int(known.argmax())
    opening = history.values[first] - paid[: first + 1].sum() if not history.deposits[: first + 1].any() else 0.0
    invested = opening + np.cumsum(paid)
    days = iso(history.days)
    bar_ms = max(float((history.days[-1] - history.days[0]).astype(int)) / _BARS, 0.6) * _DAY_MS
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.76, 0.24], vertical_spacing=0.06)
    figure.add_scatter(
        x=days, y=listed(history.values), customdata=in_rupees(history.values), name="Value", row=1, col=1,
        line={"color": BLUE, "width": 2}, hovertemplate="%{customdata}",
    )  # fmt: skip
    figure.add_scatter(
        x=days, y=listed(invested), customdata=in_rupees(invested), name="Net paid in", row=1, col=1,
        line={"color": GREY, "width": 1.5, "dash": "dash", "shape": "hv"}, hovertemplate="%{customdata}",
    )  # fmt: skip
    for name, amounts, colour in (
        ("Deposits", history.deposits, GREEN),
        ("Withdrawals", -history.withdrawals, VERMILLION),
    ):
        moved = amounts != 0
        figure.add_bar(
            x=iso(history.days[moved]), y=listed(amounts[moved]), customdata=in_rupees(amounts[moved]), name=name,
            marker={"color": colour}, width=bar_ms, row=2, col=1,
            hovertemplate="%{customdata}",
        )  # fmt: skip
    titled(figure, title, "Worth at each close; gaps were not valued")
    figure.update_layout(hovermode="x unified", barmode="relative")
    room = np.array([-bar_ms, bar_ms]).astype("timedelta64[ms]")
    ends = history.days[[0, -1]].astype("datetime64[ms]") + room
    figure.update_xaxes(range=iso(ends))
    figure.update_yaxes(**rupee_axis(history.values, invested), row=1, col=1)
    figure.update_yaxes(**rupee_axis(history.deposits, -history.withdrawals, count=3), row=2, col=1)
    return figure


def drawdown(history: PortfolioHistory) -> go.Figure:
    """Distance below the highest close so far, with the deepest fall marked."""
    title = f"{history.title} — drawdown"
    returns = history.returns()
    if not returns.count[0]:
        return message(title, _NOTHING_VALUED)
    below = np.where(np.isnan(history.values), np.nan, underwater(returns)[0])
    figure = go.Figure()
    figure.add_scatter(
        x=iso(history.days), y=listed(below), fill="tozeroy", line={"color": VERMILLION, "width": 1.5},
        fillcolor="rgba(213, 94, 0, 0.25)", name="Drawdown", hovertemplate="%{x|%d %b %Y}: %{y:.1%}<extra></extra>",
    )  # fmt: skip
    titled(figure, title, "Time-weighted index below its highest close; flows do not move it")
    figure.update_yaxes(tickformat=".0%")
    deepest = drawdowns(returns).deepest
    trough = deepest.dates["trough_on"][0]
    figure.update_yaxes(range=[min(1.3 * float(deepest.values[0]), -0.01), 0])
    if not np.isnat(trough):
        recovered = deepest.dates["recovered_on"][0]
        ending = "not recovered yet" if np.isnat(recovered) else f"recovered {_day(recovered)}"
        figure.add_annotation(
            x=str(trough), y=float(deepest.values[0]), ax=0, ay=40, arrowcolor=GREY,
            xanchor=_anchor(history.days, trough),
            text=f"<b>{deepest.values[0]:.1%}</b> · high {_day(deepest.dates['peak_on'][0])} · {ending}",
        )  # fmt: skip
    return figure


def _anchor(days: Days, day: np.datetime64) -> str:
    """Which side of a label to pin at ``day``, so that it stays inside the chart."""
    share = float((day - days[0]) / max(days[-1] - days[0], np.timedelta64(1, "D")))
    return "left" if share < 1 / 3 else "right" if share > 2 / 3 else "center"


def _day(day: np.datetime64) -> str:
    return f"{day.item():%d %b %Y}"


def benchmark(history: PortfolioHistory) -> go.Figure:
    """Both from 100 on the same day, and how far the portfolio is ahead below."""
    name = history.benchmark_name or "Benchmark"
    title = f"{history.title} against {name}"
    returns = history.returns()
    levels = history.benchmark if len(history.benchmark) else None
    market = benchmark_returns(returns, levels)[0]
    both = ~np.isnan(market)
    if np.count_nonzero(both) < TWO:
        return message(title, "No benchmark, or fewer than two days in common with it.")
    days = returns.days[both]
    start = days[0] - 1
    own = 100 * np.cumprod([1.0, *(1 + returns.daily[0][both])])
    other = 100 * np.cumprod([1.0, *(1 + market[both])])
    at = [str(start), *iso(days)]
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.72, 0.28], vertical_spacing=0.07)
    for label, index, style in (
        (history.title, own, {"color": BLUE, "width": 2}),
        (name, other, {"color": ORANGE, "width": 2, "dash": "dot"}),
    ):
        figure.add_scatter(
            x=at, y=listed(index), name=escape(label), line=style, hovertemplate="%{y:.1f}", row=1, col=1
        )
    ahead = own / other - 1
    figure.add_scatter(
        x=at, y=listed(ahead), name="Ahead by", fill="tozeroy", line={"color": GREEN, "width": 1.5},
        fillcolor="rgba(0, 158, 115, 0.25)", hovertemplate="%{y:.1%}", row=2, col=1,
    )  # fmt: skip
    titled(figure, title, "Both start at 100, time-weighted; below, how far the portfolio is ahead")
    figure.update_layout(hovermode="x unified")
    figure.update_yaxes(tickformat=".0f", row=1, col=1)
    figure.update_yaxes(tickformat=".0%", nticks=4, row=2, col=1)
    return figure
