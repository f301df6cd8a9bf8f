"""The book as a whole: totals for a reconciliation, and whether the ledger is sound."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from portfolio_service.store.arrays import rows_of

_TOTALS = """
SELECT account, asset, sum(amount)::bigint FROM balances WHERE account_id = %s GROUP BY account, asset
"""

_UNBALANCED_ASSETS = """
SELECT account_id, asset, sum(amount)::bigint FROM balances GROUP BY account_id, asset HAVING sum(amount) <> 0
"""

_UNBALANCED_JOURNALS = """
SELECT journal_id::text, asset, sum(amount)::bigint FROM entries
GROUP BY journal_id, account_id, asset HAVING sum(amount) <> 0 LIMIT 100
"""

_WRONG_BALANCES = """
SELECT owner_id::text, account, asset, coalesce(b.amount, 0), coalesce(e.amount, 0)::bigint
FROM balances b FULL JOIN (
    SELECT owner_id, account, asset, account_id, sum(amount) AS amount FROM entries GROUP BY 1, 2, 3, 4
) e USING (owner_id, account, asset, account_id)
WHERE coalesce(b.amount, 0) <> coalesce(e.amount, 0) LIMIT 100
"""

_NEGATIVE_BALANCES = """
SELECT owner_id::text, account, asset, amount FROM balances
WHERE amount < 0 AND account IN ('cash', 'held', 'securities', 'securities_held') LIMIT 100
"""

_WRONG_HOLDS = """
SELECT user_id::text, coalesce(b.held, 0)::bigint, coalesce(o.held, 0)::bigint + coalesce(m.held, 0)::bigint
FROM (SELECT owner_id AS user_id, sum(amount) AS held FROM balances WHERE account = 'held' GROUP BY 1) b
FULL JOIN (SELECT user_id, sum(hold_paise) AS held FROM orders WHERE hold_paise > 0 GROUP BY 1) o USING (user_id)
FULL JOIN (SELECT user_id, sum(amount_paise) AS held FROM movements
    WHERE status = 'pending' AND kind = 'withdrawal' GROUP BY 1) m USING (user_id)
WHERE coalesce(b.held, 0) <> coalesce(o.held, 0) + coalesce(m.held, 0) LIMIT 100
"""

_WRONG_POSITIONS = """
SELECT user_id::text, asset, coalesce(b.amount, 0)::bigint, coalesce(p.amount, 0)::bigint,
    coalesce(b.held, 0)::bigint, coalesce(p.held, 0)::bigint
FROM (SELECT owner_id AS user_id, asset, sum(amount) AS amount,
        sum(amount) FILTER (WHERE account = 'securities_held') AS held
    FROM balances WHERE account IN ('securities', 'securities_held') GROUP BY 1, 2) b
FULL JOIN (SELECT user_id, instrument || '|' || product AS asset, sum(quantity) AS amount, sum(reserved) AS held
    FROM positions GROUP BY 1, 2) p USING (user_id, asset)
WHERE coalesce(b.amount, 0) <> coalesce(p.amount, 0) OR coalesce(b.held, 0) <> coalesce(p.held, 0) LIMIT 100
"""

_WRONG_LOTS = """
SELECT user_id::text, instrument, product, coalesce(p.quantity, 0)::bigint, coalesce(l.remaining, 0)::bigint
FROM (SELECT user_id, portfolio_id, instrument, product, quantity FROM positions WHERE quantity > 0) p
FULL JOIN (SELECT user_id, portfolio_id, instrument, product, sum(remaining) AS remaining
    FROM lots WHERE is_open GROUP BY 1, 2, 3, 4) l USING (user_id, portfolio_id, instrument, product)
WHERE coalesce(p.quantity, 0) <> coalesce(l.remaining, 0) LIMIT 100
"""

_WRONG_COUNTS = """
SELECT user_id::text, coalesce(c.open_orders, 0), coalesce(o.orders, 0) FROM clients c
FULL JOIN (SELECT user_id, count(*) AS orders FROM orders
    WHERE status IN ('ACCEPTED', 'QUEUED', 'WORKING', 'PARTIALLY_FILLED') GROUP BY 1) o USING (user_id)
WHERE coalesce(c.open_orders, 0) <> coalesce(o.orders, 0) LIMIT 100
"""


def list_totals(session: Session, account_id: str) -> dict[tuple[str, str], int]:
    """Sums of the balances of one broker account by (account, asset), in one snapshot."""
    return {(account, asset): amount for account, asset, amount in rows_of(session, _TOTALS, account_id)}


def list_unbalanced_assets(session: Session) -> Sequence[Any]:
    """Assets whose balances do not sum to zero over all accounts: cheap, no entry is read."""
    return rows_of(session, _UNBALANCED_ASSETS)


def list_faults(session: Session) -> dict[str, Sequence[Any]]:
    """Every rule of the book, checked row by row from the entries on; the rows that break it, by rule."""
    return {
        "unbalanced_assets": rows_of(session, _UNBALANCED_ASSETS),
        "unbalanced_journals": rows_of(session, _UNBALANCED_JOURNALS),
        "wrong_balances": rows_of(session, _WRONG_BALANCES),
        "negative_balances": rows_of(session, _NEGATIVE_BALANCES),
        "wrong_holds": rows_of(session, _WRONG_HOLDS),
        "wrong_positions": rows_of(session, _WRONG_POSITIONS),
        "wrong_lots": rows_of(session, _WRONG_LOTS),
        "wrong_counts": rows_of(session, _WRONG_COUNTS),
    }
