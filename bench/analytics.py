"""`analytics`: trades into the store, a night of closes and figures over five years, one user's answer in the day."""

import gc
import os
import random
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import orjson
import psutil
from fastapi.testclient import TestClient
from figures import Figure, median_of

from analytics_service.app import create_app, wire
from analytics_service.settings import Settings
from analytics_service.usecases import trades
from analytics_service.usecases.closes import take_close
from analytics_service.usecases.market import update
from saras_common.auth import Identity, InternalTokens
from saras_common.calendar import is_session_day
from saras_common.clock import ManualClock
from saras_common.db import driver, migrate, provision
from saras_common.events import Allocation, AllocationPosted, InstrumentsListed, Listing
from saras_common.ids import new_id
from saras_common.postgres import EmbeddedPostgres

KEY = "internal-key-of-the-bench-32-bytes-long"
USERS = int(os.environ.get("ANALYTICS_BENCH_USERS", "10000"))
HOLDINGS = 20
DAYS = 1250
TRADES = 100_000
TRADES_A_MESSAGE = 1000
ANSWERS = 300
NOW = datetime(2026, 3, 2, 11, tzinfo=UTC)
PRICE = 150_000
INSTRUMENTS = [f"NSE:BENCH{number:02}" for number in range(HOLDINGS)]
BENCHMARK = "NSE:NIFTY 50"

_HISTORY = """
INSERT INTO valuations (user_id, day, portfolio_id, cash_paise, market_paise, invested_paise, realised_paise,
    charges_paise, deposited_paise, withdrawn_paise)
SELECT u, d, u, 1000000, 100000000 + ((n * 7919 + row_number() OVER () * 104729) %% 3000000), 90000000, 0, 0,
    90000000 + (n / 21) * 2000000, (n / 100) * 5000
FROM unnest(%b::uuid[]) AS u, unnest(%b::date[]) WITH ORDINALITY AS days (d, n)
"""


@dataclass
class Bench:
    """The service on a database of its own, and the book it asks, answered from memory."""

    settings: Settings
    clock: ManualClock
    users: list[UUID]
    pages: dict[str, bytes]

    def ask(self, path: str, _headers: Mapping[str, str]) -> tuple[int, bytes]:
        """A page of the book, or one user's part of it."""
        query = parse_qs(urlsplit(path).query)
        return 200, self.pages[query["user_id" if "user_id" in query else "after"][0] if len(query) > 1 else ""]


def sessions(count: int) -> list[date]:
    """The last ``count`` session days before today."""
    days = (NOW.date() - timedelta(days=n) for n in range(1, 2 * count))
    return [day for day in days if is_session_day(day)][:count][::-1]


def book_pages(users: Sequence[UUID], size: int) -> dict[str, bytes]:
    """The book's answers: pages of ``size`` users by the id they follow, and single users by theirs."""
    dice = random.Random(7)

    def item(user: UUID) -> dict[str, object]:
        shelves = [
            [str(user), name, "CNC", dice.randint(1, 99), 10**6, 0, 0, PRICE + number]
            for number, name in enumerate(INSTRUMENTS)
        ]
        return {
            "user_id": str(user),
            "default_portfolio_id": str(user),
            "cash": 10**6,
            "deposited": 9 * 10**7 + DAYS // 21 * 2 * 10**6,
            "withdrawn": DAYS // 100 * 5000,
            "positions": shelves,
        }

    pages = {}
    for start in range(0, len(users), size):
        part = users[start : start + size]
        after = "" if start == 0 else str(users[start - 1])
        following = str(part[-1]) if start + size < len(users) else None
        pages[after] = orjson.dumps({"items": [item(user) for user in part], "next": following})
    first = orjson.dumps({"items": [item(users[0])], "next": str(users[0])})
    return pages | {f"one {users[0]}": first}


@contextmanager
def bench(users: int) -> Iterator[Bench]:
    """A server with its usual durability and five years of history for so many users."""
    with tempfile.TemporaryDirectory(prefix="saras-bench-", ignore_cleanup_errors=True) as folder:
        server = EmbeddedPostgres(Path(folder) / "home")
        try:
            admin = server.start()
            urls = provision(admin, {"analytics_service": "bench-only", "bus": "bench-only"})
            migrate(admin, "analytics_service")
            settings = Settings(database_url=urls["analytics_service"], broker_url=urls["bus"], internal_token_key=KEY)
            people = sorted(new_id() for _ in range(users))
            made = Bench(settings, ManualClock(NOW), people, book_pages(people, 500))
            fill_history(made)
            yield made
        finally:
            server.stop()


def fill_history(made: Bench) -> None:
    """Closes, valuations and the benchmark's prices, straight into the tables."""
    context = wire(made.settings, clock=made.clock, ask_book=made.ask)
    days = sessions(DAYS)
    for start in range(0, len(made.users), 500):
        with context.database.for_service() as session:
            driver(session).execute("SET LOCAL statement_timeout = 0")
            driver(session).execute(_HISTORY, [made.users[start : start + 500], days])
    with context.database.for_service() as session:
        driver(session).execute("INSERT INTO closes SELECT unnest(%b::date[]), now(), %b", [days, len(made.users)])
        driver(session).execute(
            "INSERT INTO day_prices SELECT %b, d, p, p, p, p, NULL, 'import'"
            " FROM unnest(%b::date[]) WITH ORDINALITY AS t (d, n),"
            " LATERAL (SELECT 2000000 + (n * 7717) %% 50000 AS p) q",
            [BENCHMARK, days],
        )
    context.database.dispose()


def pipeline(made: Bench) -> float:
    """Trades a second from events to stored trades and positions."""
    context = wire(made.settings, clock=made.clock, ask_book=made.ask)
    dice = random.Random(11)
    listings = [
        Listing(instrument=name, token=number, name=name, tick_paise=5, lot_size=1)
        for number, name in enumerate(INSTRUMENTS)
    ]
    with context.database.for_service() as session:
        update(session, context.outbox, [InstrumentsListed(at=NOW, listings=listings)], NOW)
    events = [_posting(dice, made.users) for _ in range(TRADES // TRADES_A_MESSAGE)]
    started = time.perf_counter()
    for number in range(0, len(events), 8):
        with context.database.for_service() as session:
            trades.take_in(session, events[number : number + 8], band_percent=20, now=NOW, new_id=new_id)
    seconds = time.perf_counter() - started
    context.database.dispose()
    return TRADES / seconds


def _posting(dice: random.Random, users: Sequence[UUID]) -> AllocationPosted:
    shares = [
        Allocation(
            order_id=new_id(), user_id=dice.choice(users), quantity=5, value_paise=5 * PRICE,
            charges=(0, 750, 23, 1, 112, 4, 0),
        )
        for _ in range(TRADES_A_MESSAGE)
    ]  # fmt: skip
    return AllocationPosted(
        at=NOW, account_id="main", batch_id=new_id(), block_id=new_id(), instrument=dice.choice(INSTRUMENTS),
        side="BUY", product="CNC", kind="fill", traded_at=NOW, allocations=shares,
    )  # fmt: skip


def night(made: Bench) -> tuple[float, float]:
    """Seconds of one close with every figure of everybody, and the most memory it took (MiB)."""
    context = wire(made.settings, clock=made.clock, ask_book=made.ask)
    gc.collect()
    started = time.perf_counter()
    close = take_close(context, NOW.date())
    seconds = time.perf_counter() - started
    assert close.users == len(made.users)
    with context.database.for_service() as session:
        found = driver(session).execute("SELECT count(*) FROM metrics WHERE day = %s", [NOW.date()]).fetchone()
    assert found == (len(made.users),)
    context.database.dispose()
    return seconds, psutil.Process().memory_info().rss / 2**20


def answers(made: Bench) -> list[float]:
    """Milliseconds of GET /analytics for one user, one after another."""
    one = str(made.users[0])

    def ask(_path: str, _headers: Mapping[str, str]) -> tuple[int, bytes]:
        return 200, made.pages[f"one {one}"]

    tokens = InternalTokens(KEY.encode(), made.clock)
    identity = Identity(made.users[0], made.users[0], frozenset({"user"}), 1, NOW.timestamp() + 60)
    headers = {"X-Internal-Token": tokens.mint(identity, "analytics-service")}
    took = []
    with TestClient(create_app(made.settings, clock=made.clock, ask_book=ask)) as client:
        for _ in range(ANSWERS):
            started = time.perf_counter()
            answer = client.get("/analytics", headers=headers)
            took.append((time.perf_counter() - started) * 1000)
            assert answer.status_code == 200, answer.text
            assert answer.json()["figures"]["twr"]["value"] is not None
    return took


def measure() -> list[Figure]:
    """Half the users first, so that growth shows; then all of them."""
    half = max(USERS // 2, 1)
    with bench(half) as made:
        half_seconds, _ = night(made)
    with bench(USERS) as made:
        seconds, memory = night(made)
        rates = [pipeline(made) for _ in range(3)]
        took = sorted(answers(made))
    note = f"{USERS} users x {HOLDINGS} holdings x {DAYS} days"
    p95 = took[int(len(took) * 0.95)]
    growth = seconds / half_seconds
    return [
        Figure(
            "analytics: trades into the store", "trades/s", median_of(rates), rates, "≥ 10,000", min(rates) >= 10_000
        ),
        Figure("analytics: a night's closes and figures", "s", seconds, [seconds], "≤ 60", seconds <= 60, note),
        Figure("analytics: memory of that night", "MiB", memory, [memory], "≤ 2048", memory <= 2048, note),
        Figure("analytics: twice the users takes", "times", growth, [growth], "linear: ≤ 2.3", growth <= 2.3),
        Figure("analytics: GET /analytics p95", "ms", p95, [median_of(took), p95], "≤ 150", p95 <= 150, "five years"),
    ]
