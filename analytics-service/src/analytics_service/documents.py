"""The JSON of this service: amounts become rupee strings here, and nowhere else."""

from typing import Any

from analytics_service.domain.positions import Position
from analytics_service.domain.trades import Source
from analytics_service.store.trades import PositionKey
from analytics_service.usecases.overview import Overview
from saras_common.money import average_price, rupees


def money(paise: int | None) -> str | None:
    """Rupees, or ``None`` for what is not known."""
    return None if paise is None else rupees(paise)


def overview_document(overview: Overview) -> dict[str, Any]:
    """What a user has now. Totals are the book's; ``elsewhere`` is the user's own record and counts in none of them."""
    book = overview.book
    value = book.market_value
    cost = sum(shelf.cost for shelf in book.shelves)
    return {
        "user_id": book.user_id,
        "cash": rupees(book.cash),
        "market_value": money(value),
        "total_value": None if value is None else rupees(value + book.cash),
        "invested": rupees(cost),
        "realised_pnl": rupees(sum(shelf.realised for shelf in book.shelves)),
        "unrealised_pnl": None if value is None else rupees(value - cost),
        "charges": rupees(sum(shelf.charges for shelf in book.shelves)),
        "deposited": rupees(book.deposited),
        "withdrawn": rupees(book.withdrawn),
        "net_invested": rupees(book.deposited - book.withdrawn),
        "positions": positions_documents(overview, Source.PLATFORM),
        "elsewhere": positions_documents(overview, Source.ELSEWHERE),
    }


def positions_documents(overview: Overview, source: Source) -> list[dict[str, Any]]:
    """Running positions of one source, derived from the trade store."""
    return [
        position_document(key, position, overview.sectors)
        for key, position in overview.positions
        if key[1] == source.value
    ]


def position_document(key: PositionKey, position: Position, sectors: dict[str, str | None]) -> dict[str, Any]:
    """One running position: both costs, what was realised, and how much was traded."""
    _, source, instrument, product = key
    traded = position.bought + position.sold
    return {
        "instrument": instrument,
        "product": product,
        "source": source,
        "sector": sectors.get(instrument),
        "side": position.side,
        "quantity": position.quantity,
        "cost": rupees(position.cost),
        "average_price": average_price(abs(position.cost), abs(position.quantity)),
        "fifo_cost": rupees(position.fifo_cost),
        "realised_pnl": rupees(position.realised),
        "realised_pnl_fifo": rupees(position.fifo_realised),
        "charges": rupees(position.charges),
        "bought": position.bought,
        "bought_value": rupees(position.bought_paise),
        "sold": position.sold,
        "sold_value": rupees(position.sold_paise),
        "volume": traded,
        "trades": position.trades,
        "average_size": average_size(traded, position.trades),
    }


def average_size(volume: int, trades: int) -> str | None:
    """Units a trade, two places; ``None`` before the first."""
    return None if trades == 0 else rupees((200 * volume + trades) // (2 * trades))
