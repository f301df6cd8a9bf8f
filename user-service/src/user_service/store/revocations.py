"""Revocations, in an order in which a reader misses none.

A reader cannot go by time or by a sequence: a transaction that started earlier may commit later. Each row carries the
id of its transaction; the cursor is the oldest transaction still running when the reader looked. Every row below it was
visible then, so asking again from there repeats a little and skips nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, insert, select, text
from sqlalchemy.orm import Session

from saras_common.ids import NewId
from user_service.models import RevocationRow

_REVOCATIONS = RevocationRow.__table__
_OLDEST_RUNNING = text("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")


@dataclass(frozen=True, slots=True)
class Revocations:
    """What was revoked, and from where to ask next."""

    cursor: int
    session_ids: list[UUID]
    min_versions: dict[UUID, int]


def add_session_revocations(session: Session, session_ids: Iterable[UUID], *, at: datetime, new_id: NewId) -> None:
    """Access tokens of these sessions are worthless."""
    rows = [{"id": new_id(), "session_id": session_id, "revoked_at": at} for session_id in session_ids]
    if rows:
        session.execute(insert(RevocationRow), rows)


def add_user_revocation(session: Session, user_id: UUID, min_version: int, *, at: datetime, new_id: NewId) -> None:
    """Access tokens of this user signed below ``min_version`` are worthless."""
    session.execute(insert(RevocationRow).values(id=new_id(), user_id=user_id, min_version=min_version, revoked_at=at))


def list_revocations(session: Session, since: int | None, *, not_before: datetime) -> Revocations:
    """Everything revoked since the cursor ``since``.

    Everything from ``not_before`` on when there is no cursor, or when it lies in the future: then it is of another
    database, as after a restore.
    """
    cursor: int = session.execute(_OLDEST_RUNNING).scalar_one()
    query = select(_REVOCATIONS.c.session_id, _REVOCATIONS.c.user_id, _REVOCATIONS.c.min_version).where(
        _REVOCATIONS.c.txid >= since
        if since is not None and since <= cursor
        else _REVOCATIONS.c.revoked_at >= not_before
    )
    sessions: list[UUID] = []
    versions: dict[UUID, int] = {}
    for session_id, user_id, min_version in session.execute(query):
        if session_id is not None:
            sessions.append(session_id)
        else:
            versions[user_id] = max(min_version, versions.get(user_id, 0))
    return Revocations(cursor, sessions, versions)


def delete_revocations(session: Session, *, before: datetime) -> int:
    """Forget what no living token needs any more; how many."""
    gone = delete(RevocationRow).where(_REVOCATIONS.c.revoked_at < before).returning(_REVOCATIONS.c.id)
    return len(session.execute(gone).all())
