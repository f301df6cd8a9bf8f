"""Users as the book knows them, and their lock."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from portfolio_service.domain.entry import Wallet
from portfolio_service.store.arrays import array, rows_of, run
from saras_common.events import UserChanged
from saras_common.ids import NewId

DEFAULT_ACCOUNT = "main"
DEFAULT_PORTFOLIO = "Default"

LOCK = """
SELECT user_id::text, account_id, status, kyc_status, default_portfolio_id::text, open_orders,
    day, day_orders, day_paise
FROM clients WHERE user_id = ANY(%s::uuid[]) ORDER BY user_id FOR NO KEY UPDATE
"""
"""The users' rows as `Wallet` takes them, locked until the transaction ends."""

_ADD = """
WITH made AS (
    INSERT INTO portfolios (id, user_id, name, created_at)
    SELECT id, user_id, %s, %s FROM unnest(%s::uuid[], %s::uuid[]) AS wanted (id, user_id) ORDER BY user_id
    ON CONFLICT DO NOTHING RETURNING id, user_id
)
INSERT INTO clients (user_id, account_id, version, status, kyc_status, default_portfolio_id)
SELECT user_id, %s, 0, 'active', 'none', id FROM made ON CONFLICT DO NOTHING
"""

_CHANGE = """
UPDATE clients SET version = news.version, status = news.status, kyc_status = news.kyc_status
FROM unnest(%s::uuid[], %s::bigint[], %s::text[], %s::text[]) AS news (user_id, version, status, kyc_status)
WHERE clients.user_id = news.user_id AND clients.version < news.version
"""

_COUNT_OPEN = """
UPDATE clients SET open_orders = open_orders + more.orders
FROM unnest(%s::uuid[], %s::bigint[]) AS more (user_id, orders) WHERE clients.user_id = more.user_id
"""


def lock_wallets(session: Session, user_ids: Iterable[str], now: datetime, new_id: NewId) -> dict[str, Wallet]:
    """Take the users' locks, always in the order of their ids; make the book's record of those it has not met."""
    wanted = sorted(set(user_ids))
    wallets = _lock(session, wanted)
    if len(wallets) < len(wanted):
        add_clients(session, [user_id for user_id in wanted if user_id not in wallets], now, new_id)
        wallets = _lock(session, wanted)
    return wallets


def _lock(session: Session, user_ids: Sequence[str]) -> dict[str, Wallet]:
    return {row[0]: Wallet(*row) for row in rows_of(session, LOCK, array(user_ids))}


def add_clients(session: Session, user_ids: Sequence[str], now: datetime, new_id: NewId) -> None:
    """A record and a default portfolio for each user that has none."""
    ids = [new_id() for _ in user_ids]
    run(session, _ADD, DEFAULT_PORTFOLIO, now, array(ids), array(user_ids), DEFAULT_ACCOUNT)


def change_clients(session: Session, changes: Sequence[UserChanged]) -> None:
    """Bring records to the newest of ``changes``; older news than what is stored is ignored."""
    newest: dict[UUID, UserChanged] = {}
    for change in changes:
        if change.user_id not in newest or change.version > newest[change.user_id].version:
            newest[change.user_id] = change
    ordered = [newest[user_id] for user_id in sorted(newest)]
    run(
        session,
        _CHANGE,
        array([change.user_id for change in ordered]),
        array([change.version for change in ordered]),
        array([change.status for change in ordered]),
        array([change.kyc_status for change in ordered]),
    )


def count_open_orders(session: Session, change_by_user: Mapping[str, int]) -> None:
    """Add to the users' numbers of open orders. Their locks are held or taken here, in order of ids."""
    if change_by_user:
        users = sorted(change_by_user)
        run(session, _COUNT_OPEN, array(users), array([change_by_user[user] for user in users]))


_DEFAULT = "SELECT default_portfolio_id::text FROM clients WHERE user_id = %s"


def get_default_portfolio(session: Session, user_id: str, now: datetime, new_id: NewId) -> str:
    """The user's default portfolio, made if this is the first anybody asks of it."""
    found = rows_of(session, _DEFAULT, user_id)
    if not found:
        add_clients(session, [user_id], now, new_id)
        found = rows_of(session, _DEFAULT, user_id)
    return str(found[0][0])
