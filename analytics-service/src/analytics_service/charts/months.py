"""Returns by calendar month."""

import numpy as np
import plotly.graph_objects as go

from analytics_service.charts.history import PortfolioHistory
from analytics_service.charts.style import DIVERGING, INK, message, titled
from analytics_service.domain.risk import monthly

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def returns_calendar(history: PortfolioHistory) -> go.Figure:
    """A row a year, a column a month, the year's own return at the end."""
    title = f"{history.title} — returns by month"
    returns = history.returns()
    if not returns.count[0]:
        return message(title, "No return yet.")
    by_month, starts = monthly(returns)
    months = starts.astype("datetime64[M]").astype(int)
    seen = ~np.isnan(by_month[0])
    years = np.arange(months[seen].min() // 12, months[seen].max() // 12 + 1)
    table = np.full((len(years), 13), np.nan)
    for month, one in zip(months[seen], by_month[0][seen], strict=True):
        table[month // 12 - years[0], month % 12] = one
    has_month = ~np.isnan(table).all(axis=1)
    table[:, 12] = np.where(has_month, np.prod(1 + np.nan_to_num(table[:, :12]), axis=1) - 1, np.nan)
    limit = max(float(np.nanquantile(np.abs(table[:, :12]), 0.95)), 0.01)
    labels = [str(1970 + year) for year in years]
    figure = go.Figure()
    figure.add_heatmap(
        x=[*MONTHS, "Year"], y=labels, z=[[None if np.isnan(cell) else float(cell) for cell in row] for row in table],
        zmin=-limit, zmax=limit, colorscale=DIVERGING, showscale=False, xgap=3, ygap=3, hoverongaps=False,
        texttemplate="%{z:+.1%}", textfont={"size": 14},
        hovertemplate="%{x} %{y}: %{z:.2%}<extra></extra>",
    )  # fmt: skip
    titled(figure, title, "Time-weighted, compounded by calendar month; the first and last may be partial")
    figure.update_xaxes(side="top", ticks="", showline=False)
    figure.update_yaxes(autorange="reversed", type="category", showgrid=False)
    figure.update_layout(margin={"t": 128})
    figure.add_vline(x=11.5, line={"color": INK, "width": 1})
    return figure
