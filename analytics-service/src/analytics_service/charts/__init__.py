"""Charts of a portfolio: plotly figures as JSON, HTML that loads our own plotly.js, and PNG or SVG by Chromium.

``render(name, history)`` makes the picture; `to_json`, `to_html` and `analytics_service.charts.raster` write it. plotly
is imported by the first chart, not by this package.
"""

from typing import TYPE_CHECKING

from analytics_service.charts.history import Holding, PortfolioHistory
from analytics_service.charts.page import ASSETS, ASSETS_PATH, HTML_POLICY, asset, to_html, to_json

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

NAMES = (
    "value", "drawdown", "returns-calendar", "allocation",
    "contribution", "rolling-risk", "correlation", "benchmark",
)  # fmt: skip

__all__ = [
    "ASSETS",
    "ASSETS_PATH",
    "HTML_POLICY",
    "NAMES",
    "Holding",
    "PortfolioHistory",
    "asset",
    "render",
    "to_html",
    "to_json",
]


def render(name: str, history: PortfolioHistory) -> "Figure":
    """The chart ``name`` (one of `NAMES`, else `KeyError`) as a plotly figure."""
    from analytics_service.charts import composition, months, risk, worth

    drawings = {
        "value": worth.value,
        "drawdown": worth.drawdown,
        "returns-calendar": months.returns_calendar,
        "allocation": composition.allocation,
        "contribution": composition.contribution,
        "rolling-risk": risk.rolling_risk,
        "correlation": risk.correlation,
        "benchmark": worth.benchmark,
    }
    return drawings[name](history)
