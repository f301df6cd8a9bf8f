"""PNG and SVG of a chart, drawn by a headless Chromium."""

from typing import TYPE_CHECKING

from saras_common.errors import ServiceError

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

FORMATS = ("png", "svg")


class NotRenderable(ServiceError):
    """No Chromium here. The detail says how to get one."""

    code, status, title = "not_renderable", 501, "This server cannot draw PNG or SVG"


def find_chromium(configured: str = "") -> str:
    """Path of the Chromium to use: ``configured``, else the first of the usual names on the PATH; `NotRenderable`."""
    raise NotImplementedError


def to_image(
    figure: "Figure",
    image_format: str,
    *,
    chromium: str = "",
    width: int = 1100,
    height: int = 620,
    timeout_s: float = 30,
) -> bytes:
    """The picture as ``png`` or ``svg``, ``width`` × ``height`` CSS pixels (PNG at double density).

    Blocks for about a second: start it outside a transaction. `NotRenderable` without Chromium or when it fails.
    """
    raise NotImplementedError
