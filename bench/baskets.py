"""`plan_rebalance`: what 10,000 subscribers of a 20-stock basket must sell and buy, priced, on one core; and 20,000.

`place_baskets`: such orders through the book's batch entry, as runs place them: one atomic batch a user.
"""

import asyncio
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import UUID

import numpy as np
from figures import Figure, median_of

from portfolio_service.app import create_app
from portfolio_service.settings import Settings
from portfolio_service.usecases import funds, market
from saras_common.auth import InternalTokens
from saras_common.clock import SystemClock
from saras_common.db import Database, migrate, provision
from saras_common.events import InstrumentsListed, Listing, Mark, MarksChanged
from saras_common.ids import new_id
from saras_common.postgres import EmbeddedPostgres
from smallcase_service.book import Book, MountedTransport, Placement, Wanted
from smallcase_service.domain.planning import Market, plan_rebalance
from smallcase_service.domain.pricing import Quoted
from smallcase_service.domain.sizing import Ints
from smallcase_service.domain.weights import UNIT

STOCKS, HOLDERS, USERS, RUNS = 20, 10_000, 500, 3
DAY = date(2026, 3, 2)
BAND_PERCENT = 3


def holders(count: int, seed: int) -> tuple[list[Quoted], Ints, Ints]:
    """Prices of ₹50 to ₹5,000, new target weights, and ``count`` holders of ₹20,000 to ₹50 lakh at older ones."""
    random = np.random.default_rng(seed)
    quoted = [Quoted(f"NSE:S{n}", int(price) * 5, 5) for n, price in enumerate(random.integers(1000, 100_000, STOCKS))]
    old, new = (np.maximum(random.dirichlet(np.full(STOCKS, 5.0)) * UNIT, 1).astype(np.int64) for _ in range(2))
    new[0] += UNIT - new.sum()
    worth = np.exp(random.uniform(np.log(2_000_000), np.log(500_000_000), count)).astype(np.int64)
    prices = np.array([one.last_paise for one in quoted], dtype=np.int64)
    return quoted, new, worth[:, None] * old // (UNIT * prices)


def once(count: int, seed: int) -> tuple[float, int]:
    """Seconds to price the basket and plan every holder's orders, small ones included; and how many there are."""
    quoted, weights, held = holders(count, seed)
    started = time.perf_counter()
    prices = np.array([one.last_paise for one in quoted], dtype=np.int64)
    costs = np.array([one.worst_cost(BAND_PERCENT, DAY) for one in quoted], dtype=np.int64)
    market = Market(prices, costs, weights, 1040, 1190)
    plan = plan_rebalance(held, market, is_full=True)
    orders = int((plan.sells > 0).sum() + (plan.buys > 0).sum())
    seconds = time.perf_counter() - started
    proceeds = plan.sells @ prices
    assert (plan.sells <= held).all()
    assert (plan.buys @ prices <= proceeds).all()
    return seconds, orders


@contextmanager
def book() -> Iterator[tuple[Book, list[UUID]]]:
    """A book of its own with `USERS` funded users, its application on a loop of its own thread."""
    with tempfile.TemporaryDirectory(prefix="saras-bench-", ignore_cleanup_errors=True) as folder:
        server = EmbeddedPostgres(Path(folder) / "postgres")
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="book")
        try:
            admin_url = server.start()
            urls = provision(admin_url, {"portfolio_service": "bench", "bus": "bench"})
            migrate(admin_url, "portfolio_service")
            key = "k" * 32
            settings = Settings(database_url=urls["portfolio_service"], broker_url=urls["bus"], internal_token_key=key)
            app = create_app(settings)
            users = _prepare(app.state.context.database)
            thread.start()
            transport = MountedTransport(app)
            asyncio.run_coroutine_threadsafe(transport.start(), loop).result()
            yield Book(transport, InternalTokens(key.encode(), SystemClock()), SystemClock()), users
            app.state.order_entry.close()
            app.state.context.database.dispose()
            app.state.context.entry.dispose()
        finally:
            loop.call_soon_threadsafe(loop.stop)
            if thread.is_alive():
                thread.join()
            loop.close()
            server.stop()


def _prepare(database: Database) -> list[UUID]:
    """List and price the stocks, and give everybody ₹1 crore."""
    now, names = datetime.now(UTC), [f"NSE:S{n}" for n in range(STOCKS)]
    listed = [Listing(instrument=name, token=n, name=name, tick_paise=5, lot_size=1) for n, name in enumerate(names)]
    marks = [Mark(instrument=name, last_paise=100_000) for name in names]
    with database.for_service() as session:
        market.update_market(session, [InstrumentsListed(at=now, listings=listed), MarksChanged(at=now, marks=marks)])
    users = [new_id() for _ in range(USERS)]
    for user_id in users:
        with database.for_users(user_id) as session:
            funds.deposit(session, user_id, 10**9, instant=True, now=now, new_id=new_id)
    return users


def place_all(to: Book, users: list[UUID]) -> float:
    """Orders a second of a 20-stock basket for every user."""
    orders = [Wanted(f"NSE:S{n}", "BUY", 3) for n in range(STOCKS)]
    placements = [Placement(user_id, new_id(), str(new_id()), orders) for user_id in users]
    started = time.perf_counter()
    outcomes = to.place(placements)
    seconds = time.perf_counter() - started
    assert all(isinstance(outcome, list) for outcome in outcomes), outcomes[:1]
    return len(users) * STOCKS / seconds


def measure() -> list[Figure]:
    """Both sizes in turn, so that their ratio means something."""
    small, large, orders = [], [], 0
    for seed in range(RUNS):
        seconds, orders = once(HOLDERS, seed)
        small.append(seconds)
        large.append(once(2 * HOLDERS, seed)[0])
    with book() as (to, users):
        place_all(to, users)  # warm
        placed = [place_all(to, users) for _ in range(RUNS)]
    growth = [two / one for one, two in zip(small, large, strict=True)]
    note = f"{HOLDERS:,} holders × {STOCKS} stocks, {orders:,} orders"
    return [
        Figure("plan_rebalance", "s", median_of(small), small, "≤ 2", median_of(small) <= 2, note),
        Figure("plan_rebalance, twice the holders", "×", median_of(growth), growth, "about 2"),
        Figure("place_baskets", "orders/s", median_of(placed), placed, note=f"{USERS} users × {STOCKS} stocks, atomic"),
    ]
