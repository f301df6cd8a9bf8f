"""Charts: what a picture shows, from the closes, the book and the market's history."""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from sqlalchemy.orm import Session

from analytics_service.book import UserBook
from analytics_service.charts import Holding, PortfolioHistory
from analytics_service.store import market
from analytics_service.usecases.contributing import CHARGES, get_contributions
from analytics_service.usecases.performance import closes_of, get_performance

MOST_CORRELATED = 12
CASH = "Cash"
UNKNOWN_SECTOR = "Unknown"


def draw_from(
    session: Session,
    user_id: UUID,
    book: UserBook | None,
    *,
    title: str,
    first: date | None,
    last: date | None,
    benchmark: str,
    risk_free: float,
    today: date,
) -> PortfolioHistory:
    """What the charts of one user draw over a period; the allocation is of now."""
    performance = get_performance(
        session,
        user_id,
        first=first,
        last=last,
        benchmark=benchmark,
        risk_free=risk_free,
        now=None if book is None else (today, book),
    )
    history = performance.history
    shelves = [] if book is None else [shelf for shelf in book.shelves if shelf.quantity]
    sectors = market.list_sectors(session, {shelf.instrument for shelf in shelves})
    holdings = [
        Holding(shelf.instrument, sectors.get(shelf.instrument) or UNKNOWN_SECTOR, "Equity", shelf.value)
        for shelf in shelves
        if shelf.value is not None
    ]
    if book is not None and book.cash > 0:
        holdings.append(Holding(CASH, CASH, CASH, book.cash))
    largest = sorted(holdings, key=lambda holding: -holding.value_paise)
    names = [holding.instrument for holding in largest if holding.asset_class != CASH][:MOST_CORRELATED]
    return PortfolioHistory(
        title=title,
        days=history.days,
        values=history.values[0],
        deposits=history.deposits[0],
        withdrawals=history.withdrawals[0],
        benchmark_name=benchmark if history.benchmark is not None else "",
        benchmark=closes_of(session, benchmark, history.days)
        if history.benchmark is not None
        else history.values[0][:0],
        holdings=holdings,
        contributions_paise=contributions_of(book)
        if first is None and last is None
        else [(one.name, one.pnl_paise) for one in get_contributions(session, user_id, performance, book).items],
        closes={name: closes_of(session, name, history.days) for name in names},
    )


def contributions_of(book: UserBook | None) -> Sequence[tuple[str, int]]:
    """Profit by instrument and charges since the beginning: sums to worth less net deposits. Empty without a price."""
    if book is None or book.market_value is None:
        return ()
    profits: dict[str, int] = {}
    for shelf in book.shelves:
        value = shelf.value or 0
        profits[shelf.instrument] = profits.get(shelf.instrument, 0) + shelf.realised + value - shelf.cost
    charges = sum(shelf.charges for shelf in book.shelves)
    result = sorted(((name, paise) for name, paise in profits.items() if paise), key=lambda item: (-item[1], item[0]))
    return [*result, (CHARGES, -charges)] if charges else result
