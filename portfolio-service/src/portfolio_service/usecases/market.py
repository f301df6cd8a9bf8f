"""What the market tells the book: instruments, last prices, and what may not be bought."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from portfolio_service.store import market
from saras_common.events import Event, InstrumentsBlocked, InstrumentsListed, Listing, Mark, MarksChanged


def update_market(session: Session, events: Sequence[Event]) -> None:
    """Apply listings and marks; of several marks of an instrument the newest counts."""
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
    if listings:
        market.put_listings(session, listings)
    if marks:
        market.put_marks(session, marks)


def block_instruments(session: Session, event: InstrumentsBlocked) -> None:
    """Stop or allow buys in instruments of one broker account."""
    market.block(session, event.account_id, event.instruments, blocked=event.blocked)
