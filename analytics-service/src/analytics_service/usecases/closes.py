"""The session's close: everybody's book as it stands, day by day, and the figures that follow from it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from analytics_service.book import UserBook
from analytics_service.domain.figures import Figure
from analytics_service.store import leases, market, valuations
from analytics_service.store.valuations import Close, HeldLine, Valuation
from analytics_service.usecases.context import Context
from analytics_service.usecases.performance import day_axis, load_histories, measure
from saras_common.calendar import is_session_day, session_hours
from saras_common.clock import trading_day
from saras_common.errors import Conflict
from saras_common.events import MAX_EVENTS_A_MESSAGE, DayPricesRecorded

LEASE = "close"
USERS_AT_ONCE = 500

Progress = Callable[[int], None]
"""Told how many users are done."""


class DayPassed(Conflict):
    """History is written forward only."""

    code, title = "day_passed", "A later day is closed already"


class CloseRunning(Conflict):
    code, title = "close_running", "Another worker is at it"


def due_day(ctx: Context) -> date | None:
    """The last session whose close is over and not taken yet; none when nothing was worth anything by then."""
    now = ctx.clock.now()
    day = trading_day(now)
    wait = timedelta(seconds=ctx.rules.snapshot_delay_s)
    while not is_session_day(day) or session_hours(day)[1] + wait > now:
        day -= timedelta(days=1)
    with ctx.database.for_service() as session:
        last = valuations.find_last_close(session)
        if last is not None and last.day >= day:
            return None
        began_at = valuations.find_first_flow(session)
    return None if began_at is None or began_at > session_hours(day)[1] else day


def take_close(ctx: Context, day: date) -> Close:
    """Value everybody at the close of ``day`` and compute their figures; again for the last day replaces it.

    `DayPassed`; `CloseRunning` while another worker has the lease. What was done before a crash is done again.
    """
    holder = str(ctx.new_id())
    with _leased(ctx, holder) as keep:
        with ctx.database.for_service() as session:
            last = valuations.find_last_close(session)
        if last is not None and last.day > day:
            raise DayPassed
        users = 0
        for books in ctx.book.pages(USERS_AT_ONCE):
            keep()
            users += _value(ctx, day, [book for book in books if _has_anything(book)])
        close = Close(day, ctx.clock.now(), users)
        with ctx.database.for_service() as session:
            valuations.put_close(session, close)
            ctx.outbox.add(session, _told_prices(market.list_day(session, day), close.taken_at))
        compute_figures(ctx, day, keep)
    return close


def compute_figures(ctx: Context, day: date, keep: Callable[[], None]) -> int:
    """Every figure of everybody over its whole history up to ``day``; how many users."""
    with ctx.database.for_service() as session:
        days = day_axis(session, date.min, day)
    if len(days) == 0:
        return 0
    after: UUID | None = None
    count = 0
    while True:
        keep()
        with ctx.database.for_service() as session:
            users = valuations.list_valued_users(session, after, USERS_AT_ONCE)
            if not users:
                return count
            histories = load_histories(session, users, days, ctx.rules.benchmark)
            figures = measure(histories.histories, ctx.rules.risk_free)
            lines = ((user, _brief(found)) for user, found in zip(histories.user_ids, figures, strict=True))
            valuations.put_metrics(session, day, lines)
        after = users[-1]
        count += len(users)


@contextmanager
def _leased(ctx: Context, holder: str) -> Iterator[Callable[[], None]]:
    """The right to close; the function given keeps it, and raises `CloseRunning` when it was lost."""

    def keep() -> None:
        with ctx.database.for_service() as session:
            if not leases.take_lease(session, LEASE, holder, ctx.rules.lease_s):
                raise CloseRunning

    keep()
    try:
        yield keep
    finally:
        with ctx.database.for_service() as session:
            leases.drop_lease(session, LEASE, holder)


def _value(ctx: Context, day: date, books: list[UserBook]) -> int:
    lines = [
        HeldLine(book.user_id, shelf.portfolio_id, shelf.instrument, shelf.product, shelf.quantity, shelf.cost)
        for book in books
        for shelf in book.shelves
        if shelf.quantity
    ]
    marks = {
        (shelf.instrument, day): (shelf.last,) * 4 for book in books for shelf in book.shelves if shelf.last is not None
    }
    with ctx.database.for_service() as session:
        valuations.put_valuations(session, day, [row for book in books for row in _valuations_of(book)])
        valuations.put_held(session, day, [book.user_id for book in books], lines)
        market.put_marks(session, marks)
    return len(books)


def _valuations_of(book: UserBook) -> Iterator[Valuation]:
    """A row a portfolio; cash and flows are the user's and counted with the default one."""
    for portfolio_id in sorted({book.default_portfolio_id, *(shelf.portfolio_id for shelf in book.shelves)}):
        shelves = [shelf for shelf in book.shelves if shelf.portfolio_id == portfolio_id]
        values = [shelf.value for shelf in shelves]
        is_default = portfolio_id == book.default_portfolio_id
        yield Valuation(
            book.user_id,
            portfolio_id,
            book.cash if is_default else 0,
            None if None in values else sum(value for value in values if value is not None),
            sum(shelf.cost for shelf in shelves),
            sum(shelf.realised for shelf in shelves),
            sum(shelf.charges for shelf in shelves),
            book.deposited if is_default else 0,
            book.withdrawn if is_default else 0,
        )


def _has_anything(book: UserBook) -> bool:
    return bool(book.cash or book.deposited or book.shelves)


def _told_prices(prices: list[Any], at: datetime) -> list[DayPricesRecorded]:
    parts = range(0, len(prices), MAX_EVENTS_A_MESSAGE)
    return [DayPricesRecorded(at=at, prices=prices[start : start + MAX_EVENTS_A_MESSAGE]) for start in parts]


def _brief(figures: dict[str, Figure]) -> dict[str, Any]:
    """Figures without their conventions, which are the same for everybody."""
    return {
        name: {"value": figure.value, "reason": figure.reason}
        | {key: day.isoformat() if day else None for key, day in figure.dates.items()}
        for name, figure in figures.items()
    }
