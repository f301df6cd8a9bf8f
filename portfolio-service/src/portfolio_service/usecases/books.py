"""The book looked at as a whole."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from portfolio_service.domain.ledger import (
    BROKER,
    CASH,
    CASH_ASSET,
    CHARGES,
    EXTERNAL,
    HELD,
    SECURITIES,
    SECURITIES_HELD,
    SUSPENSE,
    instrument_of,
)
from portfolio_service.store import books, outbox
from saras_common.events import BookTotalled, BookTotalsRequested


def check_books(session: Session) -> dict[str, Sequence[Any]]:
    """Rules of the book that are broken, with the rows that break them; empty when it is sound.

    Reads the whole ledger: for tests, drills and the night. Each rule is one statement, so it judges one moment.
    """
    return {rule: rows for rule, rows in books.list_faults(session).items() if rows}


def total_book(session: Session, request: BookTotalsRequested, *, now: datetime) -> None:
    """Answer the executor with the totals of one broker account."""
    totals = books.list_totals(session, request.account_id)
    users, suspense, applied = Counter[str](), Counter[str](), Counter[str]()
    for (account, asset), amount in totals.items():
        if asset == CASH_ASSET:
            continue
        instrument, _ = instrument_of(asset)
        if account in (SECURITIES, SECURITIES_HELD):
            users[instrument] += amount
        elif account == SUSPENSE:
            suspense[instrument] += amount
        elif account == BROKER:
            applied[instrument] -= amount
    cash = {account: amount for (account, asset), amount in totals.items() if asset == CASH_ASSET}
    event = BookTotalled(
        at=now,
        reconciliation_id=request.reconciliation_id,
        account_id=request.account_id,
        users={instrument: amount for instrument, amount in users.items() if amount},
        suspense={instrument: amount for instrument, amount in suspense.items() if amount},
        applied={instrument: amount for instrument, amount in applied.items() if amount},
        users_cash_paise=cash.get(CASH, 0) + cash.get(HELD, 0),
        suspense_cash_paise=cash.get(SUSPENSE, 0),
        applied_cash_paise=-(cash.get(BROKER, 0) + cash.get(CHARGES, 0)),
        external_cash_paise=-cash.get(EXTERNAL, 0),
    )
    outbox.tell(session, [event])
