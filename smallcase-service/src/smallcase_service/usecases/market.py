"""What the market and the reference data tell this service."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from saras_common.events import (
    CorporateActionsRecorded,
    DayPricesRecorded,
    Event,
    InstrumentsBlocked,
    InstrumentsDescribed,
    InstrumentsListed,
    Listing,
    Mark,
    MarksChanged,
)
from smallcase_service.store import market


def update_market(session: Session, events: Sequence[Event]) -> None:
    """Apply market events; of several marks of an instrument the newest counts."""
    listings: dict[str, Listing] = {}
    marks: dict[str, tuple[Mark, datetime]] = {}
    for event in events:
        if isinstance(event, InstrumentsListed):
            listings.update((listing.instrument, listing) for listing in event.listings)
        elif isinstance(event, MarksChanged):
            for mark in event.marks:
                known = marks.get(mark.instrument)
                if known is None or known[1] <= event.at:
                    marks[mark.instrument] = (mark, event.at)
        else:
            handle = _RARE.get(type(event))
            if handle is not None:
                handle(session, event)
    if listings:
        market.put_listings(session, listings)
    if marks:
        market.put_marks(session, marks)


def _days(session: Session, event: DayPricesRecorded) -> None:
    market.put_days(session, event.prices, event.at)


def _block(session: Session, event: InstrumentsBlocked) -> None:
    market.block(session, event.account_id, event.instruments, blocked=event.blocked)


def _describe(session: Session, event: InstrumentsDescribed) -> None:
    market.put_facts(session, event.facts)


def _act(session: Session, event: CorporateActionsRecorded) -> None:
    market.put_actions(session, event.actions)


_RARE: dict[type[Event], Callable[[Session, Any], None]] = {
    DayPricesRecorded: _days,
    InstrumentsBlocked: _block,
    InstrumentsDescribed: _describe,
    CorporateActionsRecorded: _act,
}
