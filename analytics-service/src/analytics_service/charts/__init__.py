"""Charts of a portfolio: plotly figures as JSON, HTML that loads our own plotly.js, and PNG or SVG by Chromium.

``render(name, history)`` makes the picture, ``to_json``, ``to_html`` and `analytics_service.charts.raster` write it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from analytics_service.domain.figures import Days, Floats

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

PLOTLY_JS_PATH = "/api/v1/analytics/assets/plotly.min.js"
"""Where the service serves `plotly_js`; HTML charts load it from there."""

NAMES = (
    "value", "drawdown", "returns-calendar", "allocation",
    "contribution", "rolling-risk", "correlation", "benchmark",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Holding:
    """One line of the allocation: worth now."""

    instrument: str
    sector: str
    asset_class: str
    value_paise: int


@dataclass(frozen=True, slots=True, eq=False)
class PortfolioHistory:
    """Everything the charts draw, of one portfolio. Daily arrays have the shape ``(days,)``; money is paise as float64.

    Parts a chart does not need may stay empty; a chart whose part is missing says so in the picture.
    """

    title: str
    days: Days
    values: Floats
    """Worth at each close; NaN is a gap and is drawn as one."""
    deposits: Floats
    withdrawals: Floats
    benchmark_name: str = ""
    benchmark: Floats = field(default_factory=lambda: np.empty(0))
    """Level at each close, shape ``(days,)``; empty when there is none."""
    holdings: Sequence[Holding] = ()
    contributions_paise: Sequence[tuple[str, int]] = ()
    """Profit by holding (instrument, paise), cash and charges too: sums to the profit of the period."""
    closes: Mapping[str, Floats] = field(default_factory=dict)
    """Adjusted closes by instrument, each ``(days,)``; NaN is a gap. For the correlation."""


def render(name: str, history: PortfolioHistory) -> "Figure":
    """The chart ``name`` (one of `NAMES`, else `KeyError`) as a plotly figure."""
    raise NotImplementedError


def to_json(figure: "Figure") -> bytes:
    """``{"data": […], "layout": {…}}`` as plotly.js reads it."""
    raise NotImplementedError


def to_html(figure: "Figure", *, plotly_js_url: str = PLOTLY_JS_PATH, nonce: str = "") -> bytes:
    """A page of its own: only plotly.js is loaded from ``plotly_js_url``. ``nonce`` goes on its scripts (CSP)."""
    raise NotImplementedError


def plotly_js() -> bytes:
    """plotly.js (minified) as shipped with the plotly package: serve it at `PLOTLY_JS_PATH`."""
    raise NotImplementedError
