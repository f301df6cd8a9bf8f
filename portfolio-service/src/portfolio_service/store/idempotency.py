"""Answers kept by user and key."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy.orm import Session

from portfolio_service.store.arrays import array, rows_of, run

_FIND = """
SELECT k.user_id::text, k.key, k.fingerprint, k.status, k.body
FROM unnest(%s::uuid[], %s::text[]) AS asked (user_id, key)
JOIN idempotency_keys k ON k.user_id = asked.user_id AND k.key = asked.key COLLATE "C"
"""

_ADD = """
INSERT INTO idempotency_keys (user_id, key, fingerprint, status, body, created_at)
SELECT *, %s FROM unnest(%s::uuid[], %s::text[], %s::bytea[], %s::smallint[], %s::bytea[])
"""

_PRUNE = """
DELETE FROM idempotency_keys WHERE (user_id, key) IN (
    SELECT user_id, key FROM idempotency_keys WHERE created_at < %s ORDER BY created_at LIMIT %s)
"""


class Kept(NamedTuple):
    """What one key was used for. ``body`` is ours to read: an answer, or what is needed to write it again."""

    user_id: str
    key: str
    fingerprint: bytes
    status: int
    body: bytes


def find_answers(session: Session, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Kept]:
    """Answers by (user, key). The users' locks are held, so nobody else is using these keys now."""
    if not keys:
        return {}
    users, names = zip(*keys, strict=True)
    rows = rows_of(session, _FIND, array(users), list(names))
    return {(row[0], row[1]): Kept(row[0], row[1], bytes(row[2]), row[3], bytes(row[4])) for row in rows}


def add_answers(session: Session, answers: Sequence[Kept], now: datetime) -> None:
    """Keep answers with the caller's transaction."""
    if answers:
        users, keys, fingerprints, statuses, bodies = zip(*answers, strict=True)
        run(session, _ADD, now, array(users), list(keys), list(fingerprints), array(statuses), list(bodies))


def prune_answers(session: Session, before: datetime, limit: int) -> int:
    """Forget the oldest answers given before then, at most ``limit``; how many."""
    return run(session, _PRUNE, before, limit)
