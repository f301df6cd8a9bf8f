"""A chart written down: JSON, and an HTML page whose only parts from elsewhere are two scripts of ours."""

import importlib.resources
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

ASSETS_PATH = "/api/v1/analytics"
"""Where the service serves `asset`, to anyone: a page's scripts are fetched without a token."""
ASSETS = ("plotly.min.js", "draw.js")
HTML_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; img-src data: blob:;"
    " form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
"""Content-Security-Policy a page needs: plotly.js writes styles, and pictures when asked to save one. Nothing leaves:
plotly.js offers to send a chart to its makers, which the page's script and this refuse."""

_DRAW = """\
"use strict";
const figure = JSON.parse(document.getElementById("figure").textContent);
Plotly.newPlot("chart", figure.data, { ...figure.layout, autosize: true }, {
  responsive: true,
  displaylogo: false,
  showSendToCloud: false,
  plotlyServerURL: "",
});
"""
_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>body {{ margin: 0; background: white }} #chart {{ height: 100vh; min-height: 420px }}</style>
</head>
<body>
<div id="chart"></div>
<script type="application/json" id="figure">{figure}</script>
<script src="{assets}/plotly.min.js"></script>
<script src="{assets}/draw.js"></script>
</body>
</html>
"""


def to_json(figure: "Figure") -> bytes:
    """``{"data": […], "layout": {…}}`` as plotly.js reads it; never a ``<``, so it may stand in a page."""
    written: str = figure.to_json(remove_uids=True)
    return written.encode()


def to_html(figure: "Figure", *, assets_path: str = ASSETS_PATH) -> bytes:
    """A page of its own; its scripts come from ``assets_path`` and its data is in it. Serve it with `HTML_POLICY`."""
    data = to_json(figure).decode()
    title = str(figure.layout.title.text or "")  # escaped already: plotly reads titles as markup
    return _PAGE.format(title=title, figure=data, assets=escape(assets_path)).encode()


def asset(name: str) -> bytes:
    """One of `ASSETS` (else `KeyError`): JavaScript, the same for as long as the process lives."""
    if name == "draw.js":
        return _DRAW.encode()
    if name == "plotly.min.js":
        return (importlib.resources.files("plotly") / "package_data" / name).read_bytes()
    raise KeyError(name)
