"""The inbox."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from notification_service.domain.kinds import Kind
from notification_service.domain.views import Notification
from saras_common.jsonio import dumps


@dataclass(slots=True)
class Told:
    """A notification about to be written, or as it stands written."""

    id: UUID
    user_id: UUID
    kind: Kind
    source: str
    count: int
    data: Mapping[str, Any]
    in_app: bool


_ADD = text("""
INSERT INTO notifications (id, user_id, kind, source, count, data, in_app, created_at, updated_at)
SELECT id, user_id, kind, source, count, data, in_app, :now, :now
FROM json_to_recordset(CAST(:rows AS json))
    AS news (id uuid, user_id uuid, kind text, source text, count bigint, data jsonb, in_app boolean)
ON CONFLICT (user_id, source) DO NOTHING RETURNING id
""")
_LOCK = text("""
SELECT n.id, n.user_id, n.kind, n.source, n.count, n.data, n.in_app FROM notifications n
JOIN unnest(CAST(:users AS uuid[]), CAST(:sources AS text[])) AS wanted (user_id, source)
    ON n.user_id = wanted.user_id AND n.source = wanted.source
ORDER BY n.user_id, n.source FOR UPDATE OF n
""")
_GROW = text("""
UPDATE notifications n
SET count = news.count, data = news.data, in_app = n.in_app OR news.in_app, updated_at = :now, read_at = NULL
FROM json_to_recordset(CAST(:rows AS json)) AS news (id uuid, count bigint, data jsonb, in_app boolean)
WHERE n.id = news.id
""")
_LIST = text("""
SELECT id, user_id, kind, count, data, created_at, updated_at, read_at FROM notifications
WHERE user_id = :user_id AND in_app AND (CAST(:before AS uuid) IS NULL OR id < :before)
    AND (NOT :unread OR read_at IS NULL)
ORDER BY id DESC LIMIT :limit
""")
_READ = text("""
UPDATE notifications SET read_at = coalesce(read_at, :now) WHERE user_id = :user_id AND id = :id AND in_app
RETURNING id, user_id, kind, count, data, created_at, updated_at, read_at
""")
_EXISTS = text("SELECT 1 FROM notifications WHERE user_id = :user_id AND id = :id")
_LIST_SOME = text(
    "SELECT id, user_id, kind, count, data, created_at, updated_at, read_at FROM notifications"
    " WHERE id = ANY (:ids) ORDER BY id"
)
_PRUNE = text(
    "DELETE FROM notifications WHERE id IN (SELECT id FROM notifications WHERE id < :before ORDER BY id LIMIT :limit)"
)


def add(session: Session, news: Sequence[Told], now: datetime) -> set[UUID]:
    """Write those whose source is new to their user, in the order given; the ids of those written."""
    return set(session.scalars(_ADD, {"rows": _rows(news), "now": now}))


def lock_by_source(session: Session, keys: Sequence[tuple[UUID, str]]) -> dict[tuple[UUID, str], Told]:
    """What stands under these (user, source), locked in that order."""
    parameters = {"users": [key[0] for key in keys], "sources": [key[1] for key in keys]}
    rows = session.execute(_LOCK, parameters).all()
    return {
        (row.user_id, row.source): Told(row[0], row[1], Kind(row[2]), row[3], row[4], row[5], row[6]) for row in rows
    }


def grow(session: Session, grown: Sequence[Told], now: datetime) -> None:
    """Write new facts over old ones; what was read is unread again."""
    session.execute(_GROW, {"rows": _rows(grown), "now": now})


def list_inbox(session: Session, user_id: UUID, *, before: UUID | None, limit: int, unread: bool) -> list[Notification]:
    """The user's inbox, newest first: those before a given one."""
    parameters = {"user_id": user_id, "before": before, "limit": limit, "unread": unread}
    return [_view(row) for row in session.execute(_LIST, parameters)]


def mark_read(session: Session, user_id: UUID, notification_id: UUID, now: datetime) -> Notification | None:
    """The notification, read; ``None`` when the user has no such one."""
    row = session.execute(_READ, {"user_id": user_id, "id": notification_id, "now": now}).one_or_none()
    return None if row is None else _view(row)


def exists(session: Session, user_id: UUID, notification_id: UUID) -> bool:
    """Whether the user has it."""
    return session.execute(_EXISTS, {"user_id": user_id, "id": notification_id}).one_or_none() is not None


def list_some(session: Session, ids: Sequence[UUID]) -> list[Notification]:
    """These notifications, oldest first."""
    return [_view(row) for row in session.execute(_LIST_SOME, {"ids": list(ids)})]


def prune(session: Session, before: datetime, limit: int) -> int:
    """Forget what was made before that instant (UUIDv7 tells when), deliveries too; how many, at most ``limit``."""
    bound = UUID(int=int(before.timestamp() * 1000) << 80)
    gone = session.execute(_PRUNE, {"before": bound, "limit": limit})
    return int(gone.rowcount)  # type: ignore[attr-defined] # a DELETE has one


def _rows(items: Sequence[Told]) -> str:
    """One JSON document: far cheaper to write than arrays of text with JSON inside."""
    return dumps(list(items)).decode()


def _view(row: Any) -> Notification:
    return Notification(row[0], row[1], Kind(row[2]), *row[3:])
