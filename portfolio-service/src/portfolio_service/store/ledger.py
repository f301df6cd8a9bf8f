"""Entries in, balances out."""

from collections.abc import Iterable, Sequence

from sqlalchemy.orm import Session

from portfolio_service.domain.ledger import Entry
from portfolio_service.store.arrays import array, columns, few_array, number_array, rows_of, run, text_array

_ADD_ENTRIES = """
INSERT INTO entries (journal_id, owner_id, account, account_id, asset, amount, kind, order_id, value_paise,
    charges_paise, at)
SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::text[], %s::bigint[], %s::text[], %s::uuid[],
    %s::bigint[], %s::bigint[], %s::timestamptz[])
"""

_CASH = """
SELECT owner_id::text, account_id, amount FROM balances
WHERE owner_id = ANY(%s::uuid[]) AND account = 'cash' AND asset = 'INR'
"""


def add_entries(session: Session, entries: Sequence[Entry]) -> None:
    """Write whole journals in one statement; the trigger balances them and moves the balances.

    A `CheckViolation` of ``balances_not_negative`` means that somebody has not got what was taken from him.
    """
    if not entries:
        return
    journals, owners, accounts, account_ids, assets, amounts, kinds, orders, values, charges, ats = columns(entries)
    run(
        session,
        _ADD_ENTRIES,
        few_array(journals),
        array(owners),
        few_array(accounts),
        text_array(account_ids),
        text_array(assets),
        number_array(amounts),
        few_array(kinds),
        array(orders),
        number_array(values),
        number_array(charges),
        few_array(ats),
    )


def list_cash(session: Session, user_ids: Iterable[str]) -> dict[tuple[str, str], int]:
    """Available paise by user and broker account."""
    return {(user, account): amount for user, account, amount in rows_of(session, _CASH, array(user_ids))}
