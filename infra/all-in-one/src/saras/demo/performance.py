"""What the demo's portfolios did: two simulated weeks of prices, every total against the ledger, charts to look at."""

import random
import time
import urllib.request
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote as quoted

from rich.console import Console

from saras.client import BASE_PATH, Api
from saras.demo.market import paise
from saras.demo.people import Person
from saras.demo.proof import Check
from saras.demo.story import Story
from saras.errors import CommandFailed
from saras.tables import plain_table
from saras_common.calendar import is_session_day
from saras_common.money import rupees

DAYS = 10
SEED = 31
SWING = 0.03
INDEX, INDEX_PAISE = "NSE:NIFTY 50", 2_590_000
EXTRA_DEPOSIT = "5000.00"
CHARTS = ("value", "allocation", "contribution")
SCRIPTS = ("plotly.min.js", "draw.js")
TOTALS = ("cash", "market_value", "total_value", "realised_pnl", "unrealised_pnl")
PATIENCE_S = 30.0
POLL_S = 0.2
NOT_DRAWN = 501


def show_performance(console: Console, story: Story, url: str, folder: Path) -> list[Check]:
    """Play the days, compare every total with the ledger's, print one user's figures, write its charts."""
    shown = _busiest(story)
    story.people.each(lambda api, _person: _take_out_idle_cash(api), [shown])
    days = _sessions(DAYS)
    ledger = [_play_day(story, shown, number, day) for number, day in enumerate(days)]
    found = story.people.each(lambda api, _person: api.get("/analytics/performance"), [shown])[0]
    _print_figures(console, shown, found["figures"])
    written = _write_charts(url + BASE_PATH, shown, folder)
    console.print(f"[bold]Charts[/]  {', '.join(path.name for path in written)} in {folder}\n", soft_wrap=True)
    return [_history_ties(story, days, ledger), _now_ties(story), _replay_is_the_same(story, shown)]


def _take_out_idle_cash(api: Api) -> None:
    """Leave a tenth of what is held, so that the pictures show the holdings."""
    portfolio = api.get("/portfolio")
    spare = paise(portfolio["cash"]) - paise(portfolio["market_value"]) // 10
    if spare > 0:
        api.post("/funds/withdraw", {"amount": rupees(spare)}, key="idle-cash")


def _play_day(story: Story, shown: Person, number: int, day: date) -> list[str]:
    """New prices, seen by everybody's book; then the day's close. Every user's total by the ledger."""
    dice = random.Random(SEED + number)
    if number == DAYS // 2:
        more = {"amount": EXTRA_DEPOSIT}
        story.people.each(lambda api, _person: api.post("/funds/deposit", more, key="more-cash"), [shown])
    prices = {
        quote.instrument: rupees(round(quote.last_paise * (1 + dice.uniform(-SWING, SWING)) / 100) * 100)
        for quote in story.quotes
    }
    story.sandbox.prices(prices)
    totals = story.people.each(lambda api, _person: _total_at(api, prices))
    level = round(INDEX_PAISE * (1 + dice.uniform(-SWING, SWING) / 2))
    candle = [day.isoformat(), *[f"{level / 100:.2f}"] * 4, 0]
    story.admin.post(f"/admin/history/prices?instrument={quoted(INDEX)}", {"data": {"candles": [candle]}})
    story.admin.post("/admin/analytics/close", {"day": day.isoformat()})
    return totals


def _total_at(api: Api, prices: Mapping[str, str]) -> str:
    """A user's total by the ledger, once its book knows these prices."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        portfolio = api.get("/portfolio")
        if all(
            prices.get(line["instrument"], line["last_price"]) == line["last_price"] for line in portfolio["holdings"]
        ):
            return str(portfolio["total_value"])
        if time.monotonic() > deadline:
            raise CommandFailed("the book did not hear of the day's prices")
        time.sleep(POLL_S)


def _history_ties(story: Story, days: Sequence[date], ledger: Sequence[Sequence[str]]) -> Check:
    def wrong(api: Api, person: Person) -> int:
        values = {point["day"]: point["value"] for point in api.get("/analytics/performance")["history"]}
        return sum(values[day.isoformat()] != ledger[number][person.number] for number, day in enumerate(days))

    off = sum(story.people.each(wrong))
    count = len(days) * len(story.people.people)
    return Check("analytics' history is the ledger's, every user and day", off == 0, f"{count} totals, {off} differ")


def _now_ties(story: Story) -> Check:
    def wrong(api: Api, _person: Person) -> bool:
        book, told = api.get("/portfolio"), api.get("/analytics")
        pnl = api.get("/pnl")
        own = told["traded"]["realised_pnl"] == pnl["realised_pnl"] and told["charges"] == pnl["charges"]
        return not own or any(told[name] != book[name] for name in TOTALS)

    off = sum(story.people.each(wrong))
    return Check("analytics' totals are the portfolio's, to the paisa", off == 0, f"{off} users differ")


def _replay_is_the_same(story: Story, shown: Person) -> Check:
    def positions() -> Any:
        return story.people.each(lambda api, _p: api.get("/analytics")["positions"], [shown])

    before = positions()
    count = story.admin.post("/admin/trades/rebuild")["count"]
    return Check("positions replayed from the trade store are the same", positions() == before, f"{count} trades")


def _busiest(story: Story) -> Person:
    """The user with the most holdings."""
    held = story.holdings()
    number = max(held, key=lambda number: (len(held[number]), -number)) if held else 0
    return story.people.people[number]


def _print_figures(console: Console, person: Person, figures: Mapping[str, Any]) -> None:
    rows = [(figure["label"], _written(figure), figure["reason"] or "") for figure in figures.values()]
    columns = ("figure", "", "why not known")
    title = f"Performance of {person.name} over {DAYS} sessions (conventions: GET /analytics/performance)"
    console.print(plain_table(title, columns, rows, right=1))


def _written(figure: Mapping[str, Any]) -> str:
    value = figure["value"]
    if value is None:
        return "-"
    return f"{value * 100:.2f} %" if figure["unit"] == "ratio" else f"{value:.3f}"


def _write_charts(url: str, person: Person, folder: Path) -> list[Path]:
    """Pictures where a browser can draw them, else pages with their scripts beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name in CHARTS:
        picture = _fetch(f"{url}/analytics/charts/{name}?format=png", person.token)
        if picture is not None:
            path = folder / f"{name}.png"
            path.write_bytes(picture)
        else:
            page = _fetch(f"{url}/analytics/charts/{name}?format=html", person.token) or b""
            path = folder / f"{name}.html"
            path.write_bytes(page.replace(f'src="{BASE_PATH}/analytics/'.encode(), b'src="'))
        written.append(path)
    if any(path.suffix == ".html" for path in written):
        for script in SCRIPTS:
            (folder / script).write_bytes(_fetch(f"{url}/analytics/{script}", person.token) or b"")
    return written


def _fetch(url: str, token: str) -> bytes | None:
    """The bytes at ``url``; ``None`` when the server cannot draw."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})  # noqa: S310 - our own platform
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - as above
            body: bytes = answer.read()
            return body
    except HTTPError as error:
        if error.code == NOT_DRAWN:
            return None
        raise CommandFailed(f"a chart was answered {error.code}") from error


def _sessions(count: int) -> list[date]:
    """The last sessions before today."""
    today = datetime.now(UTC).date()
    days = (today - timedelta(days=n) for n in range(1, 3 * count + 10))
    return [day for day in days if is_session_day(day)][:count][::-1]
