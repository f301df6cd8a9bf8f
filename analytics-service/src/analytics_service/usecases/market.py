"""What the market and the people's register tell: listings, marks, names."""

from collections.abc import Iterable
from datetime import date, datetime

from sqlalchemy.orm import Session

from analytics_service.store import market, people
from analytics_service.usecases.history import describe_listed
from saras_common.clock import trading_day
from saras_common.events import Event, InstrumentsListed, Listing, MarksChanged, UserChanged
from saras_common.outbox import Outbox


def update(session: Session, outbox: Outbox, events: Iterable[Event], now: datetime) -> None:
    """Apply listings, marks and changes of users; marks widen the day they fall on, in the order told."""
    listings, users = list[Listing](), list[UserChanged]()
    days: dict[tuple[str, date], tuple[int, int, int, int]] = {}
    for event in events:
        if isinstance(event, InstrumentsListed):
            listings += event.listings
        elif isinstance(event, UserChanged):
            users.append(event)
        elif isinstance(event, MarksChanged):
            _widen(days, event)
    if listings:
        market.put_listings(session, listings)
        describe_listed(session, outbox, {listing.instrument for listing in listings}, now)
    if users:
        people.put_people(session, users)
    if days:
        market.put_marks(session, days)


def _widen(days: dict[tuple[str, date], tuple[int, int, int, int]], event: MarksChanged) -> None:
    day = trading_day(event.at)
    for mark in event.marks:
        if mark.last_paise <= 0:
            continue
        key, last = (mark.instrument, day), mark.last_paise
        first, high, low, _ = days.get(key, (last, last, last, last))
        days[key] = (first, max(high, last), min(low, last), last)
