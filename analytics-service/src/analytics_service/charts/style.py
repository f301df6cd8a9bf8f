"""How every chart looks: Okabe and Ito's colours, which tell apart under every common colour blindness; quiet axes."""

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go

from analytics_service.domain.figures import Floats
from analytics_service.domain.rupees import short

BLUE, ORANGE, GREEN, VERMILLION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, YELLOW, BLACK = "#CC79A7", "#56B4E9", "#F0E442", "#000000"
GREY, FAINT, INK = "#6B6B6B", "#E3E3E3", "#222222"
SERIES = (BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY, YELLOW)
"""Okabe and Ito, 2008, in the order they are given out."""

DIVERGING: list[list[Any]] = [
    [0.0, "#A33F00"], [0.25, "#EDA373"], [0.5, "#F7F7F7"], [0.75, "#7FB5D8"], [1.0, "#00588A"],
]  # fmt: skip
"""Vermillion to white to blue: losses and gains without red and green."""
FONT = "Inter, 'Noto Sans', 'DejaVu Sans', system-ui, sans-serif"
WIDTH, HEIGHT = 1100, 620
_TICKS = 6


def titled(figure: go.Figure, title: str, subtitle: str) -> go.Figure:
    """``figure`` in the house's layout. ``title`` and ``subtitle`` are plain text."""
    figure.update_layout(
        title={
            "text": escape(title), "x": 0.012, "xanchor": "left", "y": 0.965, "yanchor": "top", "font": {"size": 21},
            "subtitle": {"text": escape(subtitle), "font": {"size": 13, "color": GREY}},
        },
        template="none",
        font={"family": FONT, "size": 14, "color": INK},
        paper_bgcolor="white",
        plot_bgcolor="white",
        margin={"l": 96, "r": 32, "t": 96, "b": 56},
        legend={"orientation": "h", "x": 1, "xanchor": "right", "y": 1.02, "yanchor": "bottom"},
        hoverlabel={"font": {"family": FONT}, "namelength": -1},
        colorway=list(SERIES),
        separators=".,",
    )  # fmt: skip
    figure.update_xaxes(showgrid=False, linecolor=GREY, ticks="outside", tickcolor=GREY, automargin=True)
    figure.update_yaxes(gridcolor=FAINT, zerolinecolor=GREY, zerolinewidth=1, automargin=True, ticklabelstandoff=6)
    return figure


def message(title: str, text: str) -> go.Figure:
    """A chart that cannot be drawn yet, saying so."""
    figure = titled(go.Figure(), title, "")
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    figure.add_annotation(
        text=escape(text), x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False, font={"size": 17, "color": GREY}
    )
    return figure


def rupee_axis(*series: Floats, count: int = _TICKS) -> dict[str, Any]:
    """Tick places and names for an axis of paise, in lakh and crore, about ``count`` of them."""
    seen = np.concatenate([one[~np.isnan(one)] for one in series])
    places = nice_ticks(float(seen.min()), float(seen.max()), count) if len(seen) else []
    return {"tickvals": places, "ticktext": [short(place) for place in places]}


def nice_ticks(low: float, high: float, count: int = _TICKS) -> list[float]:
    """Round numbers (1, 2, 2.5 or 5 times a power of ten apart) from just inside ``low`` to just inside ``high``."""
    span = (high - low) or abs(high) or 1.0
    rough = span / count
    power = 10.0 ** np.floor(np.log10(rough))
    step = float(next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * (1 - 1e-9)))
    first, last = np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9)
    return [float(place * step) for place in np.arange(first, last + 1)]


def listed(values: Floats, digits: int = 8) -> list[float | None]:
    """Plain numbers for JSON: NaN becomes null, which is drawn as a gap."""
    return [None if np.isnan(value) else round(float(value), digits) for value in values]


def in_rupees(values: Floats) -> list[str]:
    """Hover texts of paise."""
    return ["" if np.isnan(value) else short(value) for value in values]


def colours(names: Sequence[str]) -> dict[str, str]:
    """A colour for each name, the same ones in the same order; past the seventh, the same colours paler."""
    palette = (*SERIES, *(_paler(colour) for colour in SERIES))
    return {name: palette[index % len(palette)] for index, name in enumerate(dict.fromkeys(names))}


def labels(names: Sequence[str]) -> list[str]:
    """Instruments without their exchange, but where two would read alike; as markup."""
    symbols = [name.partition(":")[2] or name for name in names]
    return [escape(name if symbols.count(symbol) > 1 else symbol) for name, symbol in zip(names, symbols, strict=True)]


def _paler(colour: str) -> str:
    """Halfway to white."""
    return "#" + "".join(f"{(int(colour[at : at + 2], 16) + 255) // 2:02X}" for at in (1, 3, 5))
