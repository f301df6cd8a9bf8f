"""What a user has now: the book's own figures, never ours."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.orm import Session

from analytics_service.book import Book, UserBook
from analytics_service.domain.positions import Position
from analytics_service.store import market, trades
from analytics_service.store.trades import PositionKey
from saras_common.errors import NotFound


@dataclass(frozen=True, slots=True)
class Overview:
    """The book's state of a user, its running positions from the trade store, and the sectors of both."""

    book: UserBook
    positions: list[tuple[PositionKey, Position]]
    sectors: dict[str, str | None]


def get_overview(session: Session, book: Book, user_id: UUID) -> Overview:
    """`NotFound` for a user the book has not heard of and who never traded."""
    positions = trades.list_positions(session, user_id)
    found = book.find(user_id)
    if found is None:
        if not positions:
            raise NotFound
        found = UserBook(user_id, user_id, 0, 0, 0, ())
    names = {shelf.instrument for shelf in found.shelves} | {key[2] for key, _ in positions}
    return Overview(found, positions, market.list_sectors(session, names))
