"""Campaign 5, the half that needs a database: the same share sold and the same rupee spent by several at once.

A race is one user with means for a few orders, and eight transactions that want more than that at the same time:
sales, buys, withdrawals, each on a connection of its own against a real PostgreSQL.
"""

import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

from prove.campaign import Campaign, Outcome, Run

from portfolio_service.app import placing, wire
from portfolio_service.consumer import book_handler, market_handler
from portfolio_service.domain.refusals import InsufficientFunds
from portfolio_service.domain.requests import EntryRequest
from portfolio_service.domain.requests import Outcome as Answer
from portfolio_service.schemas import OrderIn
from portfolio_service.settings import Settings
from portfolio_service.store.arrays import rows_of
from portfolio_service.telemetry import BookMetrics
from portfolio_service.usecases import books, funds
from saras_common.clock import SystemClock
from saras_common.errors import SarasError, Unavailable
from saras_common.events import Allocation, AllocationPosted, Event, InstrumentsListed, Listing, Mark, MarksChanged
from saras_common.ids import new_id
from saras_common.metrics import Metrics
from saras_common.testing import MigratedDatabase, PostgresForTests

INFY, LAST = "NSE:INFY", 150_000
CONTESTANTS = 8
MEANS = 3
"""Orders a user can afford, or shares it has."""

GROUP = 25
"""Users whose orders one transaction carries: as many races as it is in at once."""

ROUND = 200
"""Users raced for between two looks at the whole book."""

NEEDED = 155_000
"""A little more than a buy of one share holds: what a user has is not enough for one order more."""


class RacedBook:
    """The book's own use cases on a database, every call a transaction."""

    def __init__(self, database: MigratedDatabase, **rules: Any) -> None:
        settings = Settings(
            database_url=database.url,
            broker_url=database.bus_url,
            internal_token_key="internal-key-of-the-campaign-32-bytes",  # noqa: S106 - of a database that lives for minutes
            pool_size=CONTESTANTS + 2,
            entry_flushers=CONTESTANTS,
            **rules,
        )
        self.clock = SystemClock()
        self.context = wire(settings, clock=self.clock)
        metrics = BookMetrics(Metrics())
        self._place = placing(self.context, metrics)
        self._book = book_handler(self.clock, new_id, metrics)
        market = market_handler()
        now = datetime.now(UTC)
        listing = Listing(instrument=INFY, token=1, name=INFY, tick_paise=5, lot_size=1)
        mark = Mark(instrument=INFY, last_paise=LAST, close_paise=LAST)
        with self.context.database.for_service() as session:
            market(session, [InstrumentsListed(at=now, listings=[listing]), MarksChanged(at=now, marks=[mark])])

    def place(self, requests: Sequence[EntryRequest]) -> list[Answer]:
        """As a client does: asked again while the database is busy, when nothing was done."""
        while True:
            try:
                return self._place(requests)
            except Unavailable:
                continue

    def tell(self, *events: Event) -> None:
        with self.context.database.for_service() as session:
            self._book(session, list(events))

    def deposit(self, users: Sequence[UUID], paise: int) -> None:
        with self.context.database.for_users(*users) as session:
            for user_id in users:
                funds.deposit(session, user_id, paise, instant=True, now=self.clock.now(), new_id=new_id)

    def withdraw(self, user_id: UUID, paise: int) -> None:
        with self.context.database.for_users(user_id) as session:
            funds.withdraw(session, user_id, paise, instant=True, now=self.clock.now(), new_id=new_id)

    def holders(self, count: int) -> list[UUID]:
        """Users with ``MEANS`` shares each and hardly any cash."""
        users = [new_id() for _ in range(count)]
        self.deposit(users, MEANS * NEEDED)
        outcomes = self.place([request(user_id, "BUY", MEANS) for user_id in users])
        placed = [item for outcome in outcomes for item in outcome.items if not isinstance(item, SarasError)]
        parts = [
            Allocation(
                order_id=UUID(order.id),
                user_id=UUID(order.user_id),
                quantity=MEANS,
                value_paise=MEANS * LAST,
                charges=(0,) * 7,
            )
            for order in placed
        ]
        now = self.clock.now()
        common = {
            "at": now, "account_id": "main", "batch_id": new_id(), "block_id": new_id(), "instrument": INFY,
            "side": "BUY", "product": "CNC", "traded_at": now,
        }  # fmt: skip
        ends = [part.model_copy(update={"quantity": 0, "value_paise": 0}) for part in parts]
        self.tell(
            AllocationPosted(kind="fill", allocations=parts, **common),
            AllocationPosted(kind="true_up", allocations=ends, **common),
        )
        return users

    def rows(self, query: str, *values: Any) -> list[Any]:
        with self.context.database.for_service() as session:
            return list(rows_of(session, query, *values))

    def faults(self) -> list[str]:
        """What the book's own rules say, read as a whole."""
        with self.context.database.for_service() as session:
            return [f"{rule}: {list(rows)[:3]}" for rule, rows in books.check_books(session).items()]


def request(user_id: UUID, side: str, quantity: int = 1, **terms: Any) -> EntryRequest:
    """One order."""
    body = {"side": side, "instrument": INFY, "quantity": quantity, "order_type": "MARKET", **terms}
    return EntryRequest(str(user_id), [OrderIn.model_validate(body)], atomic=False)


@contextmanager
def server() -> Iterator[PostgresForTests]:
    """A PostgreSQL of the campaign's own."""
    made = PostgresForTests()
    try:
        yield made
    finally:
        made.stop()


@contextmanager
def raced_book(on: PostgresForTests, **rules: Any) -> Iterator[RacedBook]:
    """A book on a database of its own."""
    book = RacedBook(on.database_for("portfolio_service"), **rules)
    try:
        yield book
    finally:
        book.context.database.dispose()
        book.context.entry.dispose()


def contest(book: RacedBook, users: Sequence[UUID], side: str, number: int, seed: int) -> dict[UUID, int]:
    """One contestant: an order for every user, some users a transaction, in an order of its own; how many it won."""
    draw = random.Random(seed * 100 + number)
    order = draw.sample(users, len(users))
    won: dict[UUID, int] = dict.fromkeys(users, 0)
    for start in range(0, len(order), GROUP):
        group = order[start : start + GROUP]
        if side == "BUY" and number == 0:
            for user_id in group:
                won[user_id] += _withdraws(book, user_id)
            continue
        for user_id, outcome in zip(group, book.place([request(user_id, side) for user_id in group]), strict=True):
            won[user_id] += sum(not isinstance(item, SarasError) for item in outcome.items)
    return won


def _withdraws(book: RacedBook, user_id: UUID) -> bool:
    try:
        book.withdraw(user_id, NEEDED)
    except InsufficientFunds:
        return False
    return True


def race(book: RacedBook, side: str, count: int, seed: int) -> Outcome:
    """``count`` users at once, eight contestants for each."""
    users = book.holders(count) if side == "SELL" else [new_id() for _ in range(count)]
    if side == "BUY":
        book.deposit(users, MEANS * NEEDED)
    outcome = Outcome()
    with ThreadPoolExecutor(CONTESTANTS) as pool:
        each = list(pool.map(partial(contest, book, users, side, seed=seed), range(CONTESTANTS)))
    for user_id in users:
        won = sum(wins[user_id] for wins in each)
        if won != MEANS:
            outcome.violate(f"seed {seed}: {won} of {CONTESTANTS} had means for {MEANS} ({side})")
    below = "SELECT count(*) FROM balances WHERE amount < 0 AND account = ANY(%s::text[])"
    (negative,) = book.rows(below, "{cash,held,securities,securities_held}")[0]
    if negative:
        outcome.violate(f"seed {seed}: {negative} balances below zero")
    outcome.counts["oversell races" if side == "SELL" else "overspend races"] += count
    outcome.counts["contestants"] += count * CONTESTANTS
    return outcome


def play(run: Run) -> Outcome:
    """Half of the races for shares, half for cash."""
    outcome = Outcome()
    with server() as on, raced_book(on) as book:
        for number, start in enumerate(range(0, run.size, ROUND)):
            if run.left_s <= 0:
                outcome.missed.append(f"{start:,} races fitted into the time, not {run.size:,}")
                break
            side = ("SELL", "BUY")[number % 2]
            outcome.add(race(book, side, min(ROUND, run.size - start), run.seed + number))
        outcome.violate(*book.faults())
    return outcome


CAMPAIGN = Campaign(
    number=5,
    target="10,000 races of eight for shares or cash that suffice for three, on a real database: nothing sold or spent"
    " twice, and nothing refused that could be had",
    size=10_000,
    bound_s=600,
    play=play,
)
