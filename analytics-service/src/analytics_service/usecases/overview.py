"""What a user has now, by the book's own figures, and how it did."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy.orm import Session

from analytics_service.book import UserBook
from analytics_service.domain.positions import Position
from analytics_service.store import market, people, trades
from analytics_service.store.trades import PositionKey
from analytics_service.usecases.performance import Performance, get_performance
from saras_common.errors import NotFound


@dataclass(frozen=True, slots=True)
class Overview:
    """The book's state of a user, its running positions from the trade store, and its figures up to now."""

    book: UserBook
    positions: list[tuple[PositionKey, Position]]
    sectors: dict[str, str | None]
    last: dict[str, int]
    """Last known price by instrument, paise."""
    performance: Performance
    last_close: date | None


def get_overview(
    session: Session,
    found: UserBook | None,
    user_id: UUID,
    *,
    is_own: bool,
    today: date,
    benchmark: str,
    risk_free: float,
) -> Overview:
    """``found`` is what the book has of the user, nothing yet of a new one; `NotFound` for a user nobody knows."""
    positions = trades.list_positions(session, user_id)
    if found is None:
        if not (is_own or positions or people.find_person(session, user_id)):
            raise NotFound
        found = UserBook(user_id, user_id, 0, 0, 0, ())
    names = {shelf.instrument for shelf in found.shelves} | {key[2] for key, _ in positions}
    last = market.list_last(session, names)
    last |= {shelf.instrument: shelf.last for shelf in found.shelves if shelf.last is not None}
    performance = get_performance(
        session, user_id, first=None, last=None, benchmark=benchmark, risk_free=risk_free, now=(today, found)
    )
    return Overview(found, positions, market.list_sectors(session, names), last, performance, performance.last_close)
