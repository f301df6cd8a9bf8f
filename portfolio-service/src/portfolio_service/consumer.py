"""From the queues to the use cases.

Events of mixed kinds are applied in order, runs of a kind together. A totals request closes the run before it, so that
its answer counts everything that was told earlier.
"""

from collections.abc import Callable, Iterable
from itertools import groupby

from sqlalchemy.orm import Session

from portfolio_service.telemetry import BookMetrics
from portfolio_service.usecases import books, market, postings, users
from saras_common.clock import Clock
from saras_common.events import (
    AllocationPosted,
    BookTotalsRequested,
    Event,
    InstrumentsBlocked,
    OrderProgressed,
    SuspenseFound,
    UserChanged,
)
from saras_common.ids import NewId

Handler = Callable[[Session, list[Event]], None]

_POSTINGS = (AllocationPosted, OrderProgressed, SuspenseFound)


def _family(event: Event) -> type:
    return AllocationPosted if isinstance(event, _POSTINGS) else type(event)


def book_handler(clock: Clock, new_id: NewId, metrics: BookMetrics, partition: str = "") -> Handler:
    """Applies the queues ``portfolio-service``, or one partition of it, and ``portfolio-service.totals``."""

    def handle(session: Session, events: list[Event]) -> None:
        for family, run in groupby(events, key=_family):
            apply(session, family, list(run))

    def apply(session: Session, family: type, run: Iterable[Event]) -> None:
        now = clock.now()
        if family is AllocationPosted:
            told = [event for event in run if isinstance(event, _POSTINGS)]
            metrics.count(postings.post_events(session, told, now=now, new_id=new_id, partition=partition))
        elif family is UserChanged:
            changed = [event for event in run if isinstance(event, UserChanged)]
            users.change_users(session, changed, now=now, new_id=new_id)
        for event in run:
            if isinstance(event, BookTotalsRequested):
                books.total_book(session, event, now=now)
            elif isinstance(event, InstrumentsBlocked):
                market.block_instruments(session, event)

    return handle


def market_handler() -> Handler:
    """Applies the queue ``portfolio-service.market``."""
    return market.update_market
