"""Idempotency keys by user: what each was used for, the run it started, the answer."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

_CLAIM = text(
    "INSERT INTO idempotency_keys (user_id, key, fingerprint, created_at)"
    " VALUES (:user, :key, :fingerprint, :now) ON CONFLICT (user_id, key) DO NOTHING RETURNING key"
)
_FIND = text("SELECT fingerprint, run_id, status, body FROM idempotency_keys WHERE user_id = :user AND key = :key")
_START = text("UPDATE idempotency_keys SET run_id = :run WHERE user_id = :user AND key = :key")
_ANSWER = text(
    "UPDATE idempotency_keys SET status = :status, body = :body WHERE user_id = :user AND key = :key AND status IS NULL"
)
_PRUNE = text("DELETE FROM idempotency_keys WHERE created_at < :before")


class Kept(NamedTuple):
    """A used key; without ``status`` its first request has not been answered yet."""

    fingerprint: bytes
    run_id: UUID | None
    status: int | None
    body: bytes | None


def claim(session: Session, user_id: UUID, key: str, fingerprint: bytes, now: datetime) -> Kept | None:
    """``None`` when the key is now this request's; else what it was used for. Waits for a claim being made."""
    values = {"user": user_id, "key": key, "fingerprint": fingerprint, "now": now}
    if session.execute(_CLAIM, values).scalar_one_or_none() is not None:
        return None
    row = session.execute(_FIND, {"user": user_id, "key": key}).one()
    return Kept(bytes(row.fingerprint), row.run_id, row.status, None if row.body is None else bytes(row.body))


def start(session: Session, user_id: UUID, key: str, run_id: UUID) -> None:
    """The run the key's request started."""
    session.execute(_START, {"user": user_id, "key": key, "run": run_id})


def answer(session: Session, user_id: UUID, key: str, status: int, body: bytes) -> None:
    """The key's answer; the first one stays."""
    session.execute(_ANSWER, {"user": user_id, "key": key, "status": status, "body": body})


def prune(session: Session, before: datetime) -> None:
    """Forget keys used before then."""
    session.execute(_PRUNE, {"before": before})
