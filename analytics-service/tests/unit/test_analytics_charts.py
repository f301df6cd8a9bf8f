"""Charts: what they draw, what they say when they cannot, and what they are written as."""

import json
import re
import stat
import subprocess
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from analytics_service import charts
from analytics_service.charts import Holding, PortfolioHistory, raster
from analytics_service.charts.risk import correlations
from analytics_service.charts.style import labels, nice_ticks
from analytics_service.domain.rupees import grouped, short

DAYS = 400
EVIL = "</script><script>alert(1)</script><a href='x'>&"


@pytest.fixture(scope="module")
def history():
    random = np.random.default_rng(11)
    days = np.arange("2024-01-01", "2027-01-01", dtype="datetime64[D]")
    days = days[np.is_busday(days)][:DAYS]
    market = random.normal(0.0003, 0.01, DAYS)
    deposits, withdrawals = np.zeros(DAYS), np.zeros(DAYS)
    deposits[0], deposits[100], withdrawals[250] = 1e8, 5e7, 2e7
    values, worth = np.empty(DAYS), 0.0
    for day in range(DAYS):
        worth = round((worth + deposits[day]) * (1 + market[day])) - withdrawals[day]
        values[day] = worth
    values[300:305] = np.nan
    names = ["NSE:INFY", "NSE:TCS", "BSE:TCS"]
    return PortfolioHistory(
        "Asha", days, values, deposits, withdrawals, "NIFTY 50", 100 * np.cumprod(1 + market),
        [Holding(name, "IT", "Equity", 1000000 * (at + 1)) for at, name in enumerate(names)],
        [("NSE:INFY", 500000), ("NSE:TCS", -200000), ("Charges", -1000)],
        {name: 100 * np.cumprod(1 + market + random.normal(0, 0.01, DAYS)) for name in names},
    )  # fmt: skip


@pytest.fixture(scope="module")
def nothing():
    none = np.empty(0)
    return PortfolioHistory("Asha", np.empty(0, dtype="datetime64[D]"), none, none, none)


def parsed(name, history):
    return json.loads(charts.to_json(charts.render(name, history)))


@pytest.mark.parametrize("name", charts.NAMES)
def test_every_chart_is_drawn_as_plain_json(name, history):
    figure = parsed(name, history)
    assert figure["data"]
    assert "bdata" not in json.dumps(figure)
    assert charts.to_json(charts.render(name, history)) == charts.to_json(charts.render(name, history))


@pytest.mark.parametrize("name", charts.NAMES)
def test_a_chart_that_cannot_be_drawn_says_why(name, nothing):
    figure = parsed(name, nothing)
    assert figure["data"] == []
    assert len(figure["layout"]["annotations"][0]["text"]) > 10


@pytest.mark.parametrize("name", charts.NAMES)
def test_charts_of_a_single_day(name, history):
    one = replace(
        history, days=history.days[:1], values=history.values[:1], deposits=history.deposits[:1],
        withdrawals=history.withdrawals[:1], benchmark=history.benchmark[:1], closes={},
    )  # fmt: skip
    assert parsed(name, one)["layout"]["title"]["text"].startswith("Asha")


def test_value_leaves_gaps_and_adds_up_what_was_paid_in(history):
    value, paid_in, deposits, withdrawals = parsed("value", history)["data"]
    assert value["y"][299:306].count(None) == 5
    assert not value.get("connectgaps")
    assert paid_in["y"][-1] == 1e8 + 5e7 - 2e7
    assert (deposits["y"], withdrawals["y"]) == ([1e8, 5e7], [-2e7])
    assert deposits["customdata"] == ["₹10 L", "₹5 L"]


def test_value_of_a_window_into_a_longer_history_starts_from_its_worth(history):
    later = replace(
        history, days=history.days[50:], values=history.values[50:], deposits=history.deposits[50:],
        withdrawals=history.withdrawals[50:],
    )  # fmt: skip
    paid_in = parsed("value", later)["data"][1]["y"]
    assert paid_in[0] == history.values[50]
    assert paid_in[-1] == history.values[50] + 5e7 - 2e7


def test_calendar_has_a_cell_for_each_month(history):
    (heat,) = parsed("returns-calendar", history)["data"]
    assert heat["y"] == ["2024", "2025"]
    assert heat["x"][-1] == "Year"
    year = heat["z"][0]
    assert year[12] == pytest.approx(np.prod([1 + month for month in year[:12]]) - 1)
    assert heat["z"][1][-2] is None


def test_allocation_adds_up_at_every_level(history):
    (tree,) = parsed("allocation", history)["data"]
    worth = dict(zip(tree["ids"], tree["values"], strict=True))
    for parent in set(tree["parents"]) - {""}:
        inside = sum(value for at, value in zip(tree["parents"], tree["values"], strict=True) if at == parent)
        assert inside == worth[parent]
    assert worth["Equity"] == 6000000
    assert tree["labels"] == ["Equity", "IT", "INFY", "NSE:TCS", "BSE:TCS"]


def test_allocation_leaves_out_what_has_no_area(history):
    short_sold = replace(history, holdings=[*history.holdings, Holding("NSE:ITC", "FMCG", "Equity", -5)])
    figure = parsed("allocation", short_sold)
    assert "Equity/FMCG" not in figure["data"][0]["ids"]
    assert "1 short or worthless" in figure["layout"]["title"]["subtitle"]["text"]


def test_waterfall_ends_at_the_sum(history):
    many = replace(history, contributions_paise=[(f"NSE:S{index:02d}", index * 100 - 900) for index in range(30)])
    (steps,) = parsed("contribution", many)["data"]
    assert steps["y"][-1] == sum(steps["y"][:-1]) == sum(index * 100 - 900 for index in range(30))
    assert "18 others" in steps["x"]


def test_correlation_is_pearson_s_over_the_days_both_have(history):
    closes = np.array(list(history.closes.values()))
    closes[1, 50:60] = np.nan
    matrix = correlations(closes)
    moves = closes[:, 1:] / closes[:, :-1] - 1
    both = ~np.isnan(moves[0]) & ~np.isnan(moves[1])
    assert matrix[0, 1] == pytest.approx(np.corrcoef(moves[0][both], moves[1][both])[0, 1], abs=1e-12)
    assert np.isnan(correlations(closes[:, :15])).all()


def test_texts_are_never_markup(history):
    spiteful = replace(
        history, title=EVIL, benchmark_name=EVIL,
        holdings=[Holding(EVIL, EVIL, EVIL, 5), *history.holdings], contributions_paise=[(EVIL, 1)],
    )  # fmt: skip
    for name in charts.NAMES:
        assert b"<" not in charts.to_json(charts.render(name, spiteful))
        page = charts.to_html(charts.render(name, spiteful)).decode()
        assert "alert(1)</script>" not in page
        assert page.count("<script") == page.count("</script>") == 3
        for text in re.findall(r'"text":"([^"]*)"', charts.to_json(charts.render(name, spiteful)).decode()):
            assert "<a " not in text


def test_html_loads_nothing_but_our_own_scripts(history):
    page = charts.to_html(charts.render("value", history)).decode()
    assert re.findall(r'(?:src|href)="([^"]*)"', page) == [
        "/api/v1/analytics/plotly.min.js",
        "/api/v1/analytics/draw.js",
    ]
    assert "http" not in page.replace("http-equiv", "")
    data = re.search(r'<script type="application/json" id="figure">(.*?)</script>', page, re.DOTALL)
    assert json.loads(data[1]) == parsed("value", history)
    assert {len(charts.asset(name)) > 100 for name in charts.ASSETS} == {True}
    with pytest.raises(KeyError):
        charts.asset("../page.py")


def test_colours_stay_okabe_and_ito_s(history):
    ours = {"#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442", "#6B6B6B"}
    for name in ("value", "drawdown", "benchmark", "rolling-risk"):
        for trace in parsed(name, history)["data"]:
            assert (trace.get("line") or trace["marker"]).get("color", trace.get("marker", {}).get("color")) in ours


@pytest.mark.parametrize(
    ("paise", "full", "brief"),
    [
        (0, "0.00", "₹0"),
        (5, "0.05", "₹0.05"),
        (-99900, "-999.00", "−₹999"),
        (100000, "1,000.00", "₹1,000"),
        (9999900, "99,999.00", "₹99,999"),
        (10000000, "1,00,000.00", "₹1 L"),
        (12345678, "1,23,456.78", "₹1.23 L"),
        (-1234567890, "-1,23,45,678.90", "−₹1.23 Cr"),
        (123456789012345, "12,34,56,78,90,123.45", "₹1,23,457 Cr"),
    ],
)
def test_rupees_as_they_are_read_in_india(paise, full, brief):
    assert grouped(paise) == full
    assert short(paise) == brief


def test_ticks_are_round_and_inside():
    assert nice_ticks(0, 100, 5) == [0, 20, 40, 60, 80, 100]
    assert nice_ticks(-3, 7, 4) == [-2.5, 0, 2.5, 5]
    assert nice_ticks(5, 5) == [5]


def test_labels_tell_exchanges_apart_only_where_they_must():
    assert labels(["NSE:TCS", "BSE:TCS", "NSE:M&M", "Cash"]) == ["NSE:TCS", "BSE:TCS", "M&amp;M", "Cash"]


def test_without_chromium_the_refusal_says_how_to_get_it(history, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(raster.NotRenderable, match="apt-get install chromium") as caught:
        raster.to_image(charts.render("allocation", history), "png")
    assert (caught.value.status, caught.value.code) == (501, "not_renderable")
    with pytest.raises(ValueError, match="png or svg"):
        raster.to_image(charts.render("allocation", history), "gif")


def program(tmp_path, script):
    path = tmp_path / "chromium"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_a_chromium_that_fails_or_hangs_is_a_refusal_too(history, tmp_path):
    figure = charts.render("allocation", history)
    with pytest.raises(raster.NotRenderable, match="drew nothing"):
        raster.to_image(figure, "png", chromium=program(tmp_path, "exit 1"))
    with pytest.raises(raster.NotRenderable, match="too long"):
        raster.to_image(figure, "png", chromium=program(tmp_path, "sleep 60"), timeout_s=0.2)


def chromium():
    try:
        return raster.find_chromium()
    except raster.NotRenderable:
        return pytest.skip("needs Chromium (make services)")


@pytest.mark.services
def test_picture(history):
    chromium()
    png = raster.to_image(charts.render("value", history), "png", width=800, height=500, scale=2)
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert (int.from_bytes(png[16:20]), int.from_bytes(png[20:24])) == (1600, 1000)


class Site(BaseHTTPRequestHandler):
    """Serves a chart's page and its scripts as the platform does, policy and all."""

    page = b""

    def do_GET(self):
        name = self.path.rpartition("/")[2]
        self.send_response(200)
        self.send_header("Content-Type", "text/html" if name == "chart" else "text/javascript")
        self.send_header("Content-Security-Policy", charts.HTML_POLICY)
        self.end_headers()
        self.wfile.write(self.page if name == "chart" else charts.asset(name))

    def log_message(self, *args):
        pass


@pytest.mark.services
def test_page_draws_itself_under_its_own_policy_and_offers_nothing_to_the_cloud(history, monkeypatch, tmp_path):
    program = chromium()
    monkeypatch.setattr(Site, "page", charts.to_html(charts.render("value", history)))
    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = f"http://127.0.0.1:{server.server_port}/api/v1/analytics/charts/chart"
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000", "--dump-dom"]
        command = [program, *flags, f"--user-data-dir={tmp_path}", "--enable-logging=stderr", page]
        run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        server.shutdown()
    assert "CONSOLE" not in run.stderr
    assert 'class="main-svg"' in run.stdout
    assert "Net paid in" in run.stdout
    assert "Download plot" in run.stdout
    assert "Share" not in run.stdout


@pytest.mark.services
def test_vector_picture(history):
    chromium()
    svg = raster.to_image(charts.render("contribution", history), "svg").decode()
    assert svg.startswith("<svg")
    assert svg.rstrip().endswith("</svg>")
    assert "₹5,000" in svg
