"""What users see of their own: statement, positions on marks."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from portfolio_service.domain.valuation import Shelf
from portfolio_service.models import PortfolioRow
from portfolio_service.store.arrays import rows_of

_SHELVES = """
SELECT p.portfolio_id::text, p.instrument, p.product, p.quantity, p.reserved, p.cost_paise, p.realised_paise,
    p.fifo_realised_paise, coalesce(l.cost, 0)::bigint, p.charges_paise, p.day, p.day_bought, p.day_bought_paise,
    p.day_sold, p.day_sold_paise, m.last_paise, m.close_paise
FROM positions p
LEFT JOIN (SELECT portfolio_id, instrument, product, sum(cost_paise) AS cost FROM lots
    WHERE user_id = %s AND is_open GROUP BY 1, 2, 3) l USING (portfolio_id, instrument, product)
LEFT JOIN marks m ON m.instrument = p.instrument
WHERE p.user_id = %s ORDER BY p.instrument, p.product, p.portfolio_id
"""

_FUNDS = """
SELECT coalesce(sum(amount) FILTER (WHERE account = 'cash'), 0)::bigint,
    coalesce(sum(amount) FILTER (WHERE account = 'held'), 0)::bigint
FROM balances WHERE owner_id = %s AND account IN ('cash', 'held') AND asset = 'INR'
"""

# the balance after a line is today's balance less everything newer: no line needs the ones before it
_STATEMENT = """
WITH totals AS (
    SELECT asset, sum(amount) AS amount FROM balances
    WHERE owner_id = %s AND account IN ('cash', 'held', 'securities', 'securities_held') GROUP BY asset
), newer AS (
    SELECT asset, sum(amount) AS amount FROM entries
    WHERE owner_id = %s AND kind NOT IN ('reserve', 'release') AND id >= %s
        AND account IN ('cash', 'held', 'securities', 'securities_held') GROUP BY asset
), page AS (
    SELECT * FROM entries
    WHERE owner_id = %s AND kind NOT IN ('reserve', 'release') AND id < %s
        AND account IN ('cash', 'held', 'securities', 'securities_held') ORDER BY id DESC LIMIT %s
)
SELECT page.id, page.at, page.kind, page.asset, page.amount, page.charges_paise, page.order_id::text,
    (totals.amount - coalesce(newer.amount, 0) - coalesce(sum(page.amount) OVER (PARTITION BY page.asset
        ORDER BY page.id DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0))::bigint
FROM page JOIN totals USING (asset) LEFT JOIN newer USING (asset) ORDER BY page.id DESC
"""

# one statement is one snapshot: cash, shares and what was paid in belong together
_BOOKS = """
SELECT c.user_id::text, c.default_portfolio_id::text,
    (SELECT coalesce(sum(amount), 0)::bigint FROM balances
        WHERE owner_id = c.user_id AND account IN ('cash', 'held') AND asset = 'INR'),
    (SELECT coalesce(sum(amount_paise), 0)::bigint FROM movements
        WHERE user_id = c.user_id AND status = 'completed' AND kind = 'deposit'),
    (SELECT coalesce(sum(amount_paise), 0)::bigint FROM movements
        WHERE user_id = c.user_id AND status = 'completed' AND kind = 'withdrawal'),
    (SELECT coalesce(json_agg(json_build_array(p.portfolio_id, p.instrument, p.product, p.quantity, p.cost_paise,
        p.realised_paise, p.charges_paise, m.last_paise)
        ORDER BY p.portfolio_id, p.instrument, p.product), '[]')::text
        FROM positions p LEFT JOIN marks m ON m.instrument = p.instrument WHERE p.user_id = c.user_id)
FROM clients c WHERE (%s::uuid IS NULL OR c.user_id = %s) AND (%s::uuid IS NULL OR c.user_id > %s)
ORDER BY c.user_id LIMIT %s
"""

NEWEST = 2**63 - 1
"""Before any entry there will ever be."""


class Line(NamedTuple):
    """One line of a statement, with the balance of its asset after it."""

    id: int
    at: datetime
    kind: str
    asset: str
    amount: int
    charges_paise: int
    order_id: str | None
    balance: int


def list_shelves(session: Session, user_id: UUID) -> list[Shelf]:
    """All positions of a user, also empty ones."""
    return [Shelf(*row) for row in rows_of(session, _SHELVES, user_id, user_id)]


def get_funds(session: Session, user_id: UUID) -> tuple[int, int]:
    """Available and held paise."""
    ((cash, held),) = rows_of(session, _FUNDS, user_id)
    return cash, held


class UserBook(NamedTuple):
    """All of one user's book at one instant, in paise.

    ``positions`` is a JSON list of [portfolio, instrument, product, quantity, cost, realised, charges, last price].
    """

    user_id: str
    default_portfolio_id: str
    cash: int
    deposited: int
    withdrawn: int
    positions: str


def list_books(session: Session, user_id: UUID | None, after: UUID | None, limit: int) -> list[UserBook]:
    """Books by user id, one user's or those after ``after``."""
    return [UserBook(*row) for row in rows_of(session, _BOOKS, user_id, user_id, after, after, limit)]


def list_lines(session: Session, user_id: UUID, before: int, limit: int) -> list[Line]:
    """A user's statement, newest first."""
    return [Line(*row) for row in rows_of(session, _STATEMENT, user_id, user_id, before, user_id, before, limit)]


def list_portfolios(session: Session, user_id: UUID) -> Sequence[PortfolioRow]:
    """A user's portfolios, oldest first."""
    query = select(PortfolioRow).where(PortfolioRow.user_id == user_id).order_by(PortfolioRow.id)
    return session.scalars(query).all()
