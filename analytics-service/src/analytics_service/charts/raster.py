"""PNG and SVG of a chart, drawn by a headless Chromium."""

import base64
import os
import re
import shutil
import signal
import subprocess
import tempfile
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING

from analytics_service.charts.page import asset, to_json
from saras_common.confidential import plain_environment
from saras_common.errors import ServiceError

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

FORMATS = ("png", "svg")
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
"""What Chromium is called on the PATH."""
_HOW = "Install Chromium (Debian: apt-get install chromium) or name it in the settings; json and html need nothing."
_IMAGE = re.compile(r'<pre id="image">data:image/(?:png|svg\+xml)([^,]*),([^<]*)</pre>')
_PAGE = """\
<!doctype html><meta charset="utf-8"><body><div id="chart"></div><pre id="image"></pre>
<script src="plotly.min.js"></script>
<script>
const figure = {figure};
Plotly.toImage(figure, {{format: "{format}", width: {width}, height: {height}, scale: {scale}}})
  .then(image => document.getElementById("image").textContent = image);
</script>
"""


class NotRenderable(ServiceError):
    """No Chromium here, or it failed. The detail says what helps."""

    code, status, title = "not_renderable", 501, "This server cannot draw PNG or SVG"


def find_chromium(configured: str = "") -> str:
    """Path of the Chromium to use: ``configured``, else the first of `NAMES` on the PATH; `NotRenderable`."""
    for name in (configured,) if configured else NAMES:
        if found := shutil.which(name):
            return found
    raise NotRenderable(_HOW)


def to_image(
    figure: "Figure",
    image_format: str,
    *,
    chromium: str = "",
    width: int = 1100,
    height: int = 620,
    scale: int = 2,
    timeout_s: float = 30,
) -> bytes:
    """The picture as ``png`` or ``svg``, ``width`` × ``height`` CSS pixels (PNG ``scale`` times denser).

    Blocks for about a second: start it outside a transaction. `NotRenderable` without Chromium or when it fails,
    ``ValueError`` for another format.
    """
    if image_format not in FORMATS:
        raise ValueError("png or svg")
    program = find_chromium(chromium)
    with tempfile.TemporaryDirectory(prefix="chart-") as folder:
        page = Path(folder, "chart.html")
        data = to_json(figure).decode()
        text = _PAGE.format(
            figure=data, format=image_format, width=width, height=height, scale=scale if image_format == "png" else 1
        )
        page.write_text(text, encoding="utf-8")
        Path(folder, "plotly.min.js").write_bytes(asset("plotly.min.js"))
        written = _run(program, page, timeout_s)
    image = _IMAGE.search(written)
    if image is None or not image[2]:
        raise NotRenderable("Chromium drew nothing.")
    if "base64" in image[1]:
        return base64.b64decode(image[2])
    return urllib.parse.unquote(image[2].replace("&amp;", "&")).encode()


def _run(program: str, page: Path, timeout_s: float) -> str:
    """The page as it stands once its scripts have run. All of Chromium's processes are gone afterwards."""
    command = [
        program, "--headless=new", "--disable-gpu", "--disable-extensions", "--disable-dev-shm-usage",
        "--disable-background-networking", "--no-first-run", "--mute-audio", "--allow-file-access-from-files",
        f"--user-data-dir={page.parent / 'profile'}", "--virtual-time-budget=20000", "--dump-dom", page.as_uri(),
    ]  # fmt: skip
    if os.geteuid() == 0:
        command.insert(1, "--no-sandbox")  # Chromium's sandbox refuses root; the page is ours alone
    with subprocess.Popen(  # noqa: S603 - a program found by name, arguments of our own
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        text=True,
        env=plain_environment(),
    ) as process:
        try:
            written, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise NotRenderable("Chromium took too long; try again.") from None
    return written
