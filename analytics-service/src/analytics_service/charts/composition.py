"""What the portfolio is made of and what earned: allocation treemap and contribution waterfall."""

import numpy as np
import plotly.graph_objects as go

from analytics_service.charts.history import Holding, PortfolioHistory
from analytics_service.charts.style import BLUE, GREY, VERMILLION, colours, labels, message, rupee_axis, titled
from analytics_service.domain.rupees import short

SHOWN = 12
"""Holdings with a step of their own in the waterfall; the others share one."""


def allocation(history: PortfolioHistory) -> go.Figure:
    """Asset class, sector, holding: areas by worth now."""
    title = f"{history.title} — allocation"
    drawn = [holding for holding in history.holdings if holding.value_paise > 0]
    if not drawn:
        return message(title, "Nothing is held.")
    whole = sum(holding.value_paise for holding in drawn)
    left_out = len(history.holdings) - len(drawn)
    nodes = _nodes(drawn)
    palette = colours([holding.sector for holding in sorted(drawn, key=lambda one: -one.value_paise)])
    figure = go.Figure()
    figure.add_treemap(
        ids=[node[0] for node in nodes],
        labels=labels([node[1] for node in nodes]),
        parents=[node[2] for node in nodes],
        values=[node[3] for node in nodes],
        customdata=[[short(node[3]), f"{node[3] / whole:.1%}"] for node in nodes],
        branchvalues="total",
        texttemplate="<b>%{label}</b><br>%{customdata[1]}<br>%{customdata[0]}",
        hovertemplate="%{label}<br>%{customdata[0]} · %{customdata[1]}<extra></extra>",
        marker={
            "colors": [palette.get(node[4], "#F2F2F2") for node in nodes],
            "line": {"color": "white", "width": 2},
            "pad": {"t": 24, "l": 3, "r": 3, "b": 3},
        },
        textfont={"color": [_on(palette.get(node[4], "")) for node in nodes]},
        pathbar={"visible": False},
        sort=True,
    )
    note = f"; {left_out} short or worthless not drawn" if left_out else ""
    titled(figure, title, f"{short(whole)} by asset class, sector and holding{note}")
    figure.update_layout(margin={"l": 16, "r": 16, "t": 64, "b": 16})
    return figure


Node = tuple[str, str, str, int, str]
"""Id, label, parent's id, paise, sector (empty for an asset class)."""


def _nodes(holdings: list[Holding]) -> list[Node]:
    """Classes and sectors before the holdings in them."""
    sums: dict[tuple[str, ...], int] = {}
    for holding in holdings:
        path = (holding.asset_class, holding.sector, holding.instrument)
        for depth in (1, 2, 3):
            sums[path[:depth]] = sums.get(path[:depth], 0) + holding.value_paise
    return [
        ("/".join(path), path[-1], "/".join(path[:-1]), total, path[1] if len(path) > 1 else "")
        for path, total in sums.items()
    ]


def _on(colour: str) -> str:
    """Ink that reads on ``colour``."""
    return "white" if colour == BLUE else "#111111"


def contribution(history: PortfolioHistory) -> go.Figure:
    """What each holding earned or lost, step by step to the whole."""
    title = f"{history.title} — contribution to profit"
    if not history.contributions_paise:
        return message(title, "Nothing has earned or lost yet.")
    ordered = sorted(history.contributions_paise, key=lambda item: (-abs(item[1]), item[0]))
    steps = sorted(ordered[:SHOWN], key=lambda item: -item[1])
    if len(ordered) > SHOWN:
        steps.append((f"{len(ordered) - SHOWN} others", sum(paise for _, paise in ordered[SHOWN:])))
    whole = sum(paise for _, paise in history.contributions_paise)
    heights = np.concatenate([[0.0], np.cumsum([float(paise) for _, paise in steps])])
    figure = go.Figure()
    figure.add_waterfall(
        x=[*labels([name for name, _ in steps]), "<b>Total</b>"],
        y=[*(paise for _, paise in steps), whole],
        measure=[*("relative" for _ in steps), "total"],
        text=[*(short(paise) for _, paise in steps), f"<b>{short(whole)}</b>"],
        textposition="outside",
        cliponaxis=False,
        constraintext="none",
        increasing={"marker": {"color": BLUE}},
        decreasing={"marker": {"color": VERMILLION}},
        totals={"marker": {"color": GREY}},
        connector={"line": {"color": GREY, "width": 1, "dash": "dot"}},
        hovertemplate="%{x}: %{text}<extra></extra>",
        showlegend=False,
    )
    titled(figure, title, "Profit by holding over the period, charges included; blue earned, orange-red lost")
    room = 0.12 * float(np.ptp(heights) or 1)
    figure.update_yaxes(**rupee_axis(heights), range=[float(heights.min()) - room, float(heights.max()) + room])
    figure.update_xaxes(tickangle=-35)
    return figure
