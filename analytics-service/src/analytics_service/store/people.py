"""Names and addresses of users, flows of their cash."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.orm import Session

from analytics_service.store.statements import columns, rows_of, run
from saras_common.events import FundsMoved, UserChanged

_PUT = """
INSERT INTO people AS p (user_id, version, full_name, email)
SELECT * FROM unnest(%b::uuid[], %b::bigint[], %b::text[], %b::text[])
ON CONFLICT (user_id) DO UPDATE SET version = excluded.version, full_name = excluded.full_name, email = excluded.email
WHERE p.version < excluded.version
"""

_FLOWS = """
INSERT INTO flows (movement_id, user_id, at, amount_paise)
SELECT * FROM unnest(%b::uuid[], %b::uuid[], %b::timestamptz[], %b::bigint[]) ON CONFLICT DO NOTHING
"""


class PersonView(NamedTuple):
    """Whom a report is addressed to."""

    full_name: str
    email: str


class Flow(NamedTuple):
    """Cash put in (> 0) or taken out (< 0)."""

    at: datetime
    amount_paise: int


def put_people(session: Session, users: Iterable[UserChanged]) -> None:
    """The newest state of each user."""
    newest: dict[UUID, UserChanged] = {}
    for user in users:
        known = newest.get(user.user_id)
        if known is None or known.version <= user.version:
            newest[user.user_id] = user
    rows = [(user.user_id, user.version, user.full_name, user.email) for _, user in sorted(newest.items())]
    run(session, _PUT, *columns(rows, 4))


def find_person(session: Session, user_id: UUID) -> PersonView | None:
    """A user's name and address."""
    query = "SELECT full_name, email FROM people WHERE user_id = %b"
    return next((PersonView(*row) for row in rows_of(session, query, user_id)), None)


def add_flows(session: Session, moved: Iterable[FundsMoved]) -> None:
    """Deposits and withdrawals, each once."""
    rows = [(event.movement_id, event.user_id, event.at, event.amount_paise) for event in moved]
    run(session, _FLOWS, *columns(rows, 4))


def list_flows(session: Session, user_id: UUID) -> list[Flow]:
    """A user's, oldest first."""
    query = "SELECT at, amount_paise FROM flows WHERE user_id = %b ORDER BY at, movement_id"
    return [Flow(*row) for row in rows_of(session, query, user_id)]
