"""Where users' own programs listen."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session


@dataclass(frozen=True, slots=True)
class Webhook:
    """``status`` is active or disabled, ``failing_since`` the first failure after the last success."""

    id: UUID
    user_id: UUID
    url: str
    kinds: tuple[str, ...]
    status: str
    failing_since: datetime | None
    reason: str | None
    created_at: datetime


_COLUMNS = "id, user_id, url, kinds, state, failing_since, reason, created_at"
_ADD = text(
    "INSERT INTO webhooks (id, user_id, url, kinds, state, created_at)"
    " VALUES (:id, :user_id, :url, :kinds, 'active', :now)"
)
_COUNT = text("SELECT count(*) FROM webhooks WHERE user_id = :user_id")
_LIST = text(
    f"SELECT {_COLUMNS} FROM webhooks WHERE user_id = :user_id AND (CAST(:after AS uuid) IS NULL OR id > :after)"  # noqa: S608
    " ORDER BY id LIMIT :limit"
)
_FIND = text(f"SELECT {_COLUMNS} FROM webhooks WHERE id = ANY (:ids)")  # noqa: S608 - our own columns
_LOCK = text(f"SELECT {_COLUMNS} FROM webhooks WHERE id = :id FOR UPDATE")  # noqa: S608 - our own columns
_DELETE = text("DELETE FROM webhooks WHERE user_id = :user_id AND id = :id RETURNING id")
_MARK = text("UPDATE webhooks SET failing_since = :failing_since, reason = :reason, state = :state WHERE id = :id")


def add(session: Session, webhook_id: UUID, user_id: UUID, url: str, kinds: Iterable[str], now: datetime) -> None:
    """A new, active one."""
    values = {"id": webhook_id, "user_id": user_id, "url": url, "kinds": list(kinds), "now": now}
    session.execute(_ADD, values)


def count_of(session: Session, user_id: UUID) -> int:
    """How many the user has."""
    return int(session.execute(_COUNT, {"user_id": user_id}).scalar_one())


def list_of(session: Session, user_id: UUID, *, after: UUID | None, limit: int) -> list[Webhook]:
    """The user's, oldest first, those after a given one."""
    rows = session.execute(_LIST, {"user_id": user_id, "after": after, "limit": limit})
    return [_webhook(row) for row in rows]


def find(session: Session, ids: Iterable[UUID]) -> dict[UUID, Webhook]:
    """Those of them that exist."""
    return {row[0]: _webhook(row) for row in session.execute(_FIND, {"ids": list(ids)})}


def lock(session: Session, webhook_id: UUID) -> Webhook | None:
    """This one, kept from changing until the caller commits."""
    row = session.execute(_LOCK, {"id": webhook_id}).one_or_none()
    return None if row is None else _webhook(row)


def mark(
    session: Session, webhook_id: UUID, *, failing_since: datetime | None, reason: str | None, status: str
) -> None:
    """How it fares."""
    parameters = {"id": webhook_id, "failing_since": failing_since, "reason": reason, "state": status}
    session.execute(_MARK, parameters)


def delete(session: Session, user_id: UUID, webhook_id: UUID) -> bool:
    """Whether the user had it."""
    return session.execute(_DELETE, {"user_id": user_id, "id": webhook_id}).one_or_none() is not None


def _webhook(row: Any) -> Webhook:
    return Webhook(row[0], row[1], row[2], tuple(row[3]), *row[4:])
