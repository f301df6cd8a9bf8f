"""Deliveries: rows first, then attempts. Anybody may take what is due; ``attempts`` fences off who had it before."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from notification_service.domain.channels import Channel
from notification_service.domain.deliveries import MAX_ANSWER_CHARS, Delivery, State
from notification_service.domain.planning import Leg
from notification_service.domain.views import DeliveryView
from saras_common.jsonio import dumps

_ADD = text("""
INSERT INTO deliveries (id, notification_id, user_id, channel, target_id, round, state, attempts, next_at,
    created_at, updated_at)
SELECT id, notification_id, user_id, channel, target_id, round, state, 0, next_at, :now, :now
FROM json_to_recordset(CAST(:rows AS json)) AS legs (id uuid, notification_id uuid, user_id uuid, channel text,
    target_id uuid, round bigint, state text, next_at timestamptz)
ON CONFLICT DO NOTHING
""")
_LOCK_WAITING = text(
    "SELECT notification_id, channel, target_id FROM deliveries WHERE notification_id = ANY (:ids)"
    " AND state IN ('PENDING', 'QUEUED', 'HELD') AND attempts = 0 ORDER BY id FOR UPDATE"
)
_ROUNDS = text(
    "SELECT notification_id, channel, target_id, max(round) + 1 FROM deliveries WHERE notification_id = ANY (:ids)"
    " GROUP BY notification_id, channel, target_id"
)
_TAKEN = "id, notification_id, user_id, channel, target_id, attempts, created_at"
_CLAIM = text(f"""
UPDATE deliveries SET state = 'SENDING', attempts = attempts + 1, next_at = :now + :lease, updated_at = :now
WHERE id IN (SELECT id FROM deliveries WHERE state IN ('PENDING', 'QUEUED', 'SENDING') AND next_at <= :now
    ORDER BY next_at LIMIT :limit FOR UPDATE SKIP LOCKED)
RETURNING {_TAKEN}
""")  # noqa: S608 - our own columns
_CLAIM_ONE = text(f"""
UPDATE deliveries SET state = 'SENDING', attempts = attempts + 1, next_at = :now + :lease, updated_at = :now
WHERE id = (SELECT id FROM deliveries WHERE id = :id AND (state = 'QUEUED'
    OR state IN ('PENDING', 'SENDING') AND next_at <= :now) FOR UPDATE SKIP LOCKED)
RETURNING {_TAKEN}
""")  # noqa: S608 - our own columns
_QUEUE = text("""
UPDATE deliveries SET state = 'QUEUED', next_at = :now + :lease, updated_at = :now
WHERE id IN (SELECT id FROM deliveries WHERE state IN ('PENDING', 'QUEUED', 'SENDING') AND next_at <= :now
    ORDER BY next_at LIMIT :limit FOR UPDATE SKIP LOCKED)
RETURNING id
""")
_RELEASE = text(
    "UPDATE deliveries SET state = 'PENDING', next_at = :now, updated_at = :now"
    " WHERE id = ANY (:ids) AND state = 'QUEUED'"
)
_RECORD = text("""
UPDATE deliveries SET state = :state, next_at = :next_at, answer = :answer, updated_at = :now
WHERE id = :id AND state = 'SENDING' AND attempts = :attempts
RETURNING id
""")
_LIST = text("""
SELECT id, channel, state, attempts, answer,
    CASE WHEN state IN ('PENDING', 'QUEUED', 'SENDING', 'HELD') THEN next_at END, created_at, updated_at
FROM deliveries WHERE user_id = :user_id AND notification_id = :notification_id ORDER BY id
""")
_CANCEL = text("""
UPDATE deliveries SET state = 'FAILED', answer = :answer, updated_at = :now
WHERE target_id = :target_id AND channel = 'webhook' AND state IN ('PENDING', 'QUEUED')
""")
_HELD = text("""
SELECT id, notification_id, user_id, channel FROM deliveries
WHERE state = 'HELD' AND next_at <= :now ORDER BY user_id, channel, id LIMIT :limit FOR UPDATE SKIP LOCKED
""")
_DIGESTED = text("UPDATE deliveries SET state = 'DIGESTED', answer = :answer, updated_at = :now WHERE id = ANY (:ids)")
_COUNT_QUEUED = text("SELECT count(*) FROM deliveries WHERE state = 'QUEUED' AND next_at > :now")

LegKey = tuple[UUID, str, UUID]
"""Notification, channel, target."""


def add(session: Session, legs: Sequence[tuple[UUID, UUID, UUID, Leg, int]], now: datetime) -> None:
    """Write deliveries given as (key, notification, user, leg, round); what is there already stays as it is."""
    rows = [
        {
            "id": key,
            "notification_id": notification_id,
            "user_id": user_id,
            "channel": leg.channel,
            "target_id": leg.target_id,
            "round": number,
            "state": leg.state,
            "next_at": leg.next_at,
        }
        for key, notification_id, user_id, leg, number in legs
    ]
    session.execute(_ADD, {"rows": dumps(rows).decode(), "now": now})


def lock_waiting(session: Session, notification_ids: Sequence[UUID]) -> set[LegKey]:
    """Deliveries of these that nobody has begun, kept from beginning until the caller commits.

    One that is just being taken is waited for and then not among them.
    """
    return {(row[0], row[1], row[2]) for row in session.execute(_LOCK_WAITING, {"ids": list(notification_ids)})}


def next_rounds(session: Session, notification_ids: Sequence[UUID]) -> dict[LegKey, int]:
    """The round after the last one of each."""
    return {(row[0], row[1], row[2]): row[3] for row in session.execute(_ROUNDS, {"ids": list(notification_ids)})}


def claim_due(session: Session, now: datetime, lease: timedelta, limit: int) -> list[Delivery]:
    """Take what is due, or was taken by somebody whose lease ran out."""
    rows = session.execute(_CLAIM, {"now": now, "lease": lease, "limit": limit})
    return [_delivery(row) for row in rows]


def claim_one(session: Session, delivery_id: UUID, now: datetime, lease: timedelta) -> Delivery | None:
    """Take this one; ``None`` when it is done, not yet due or in other hands."""
    row = session.execute(_CLAIM_ONE, {"id": delivery_id, "now": now, "lease": lease}).one_or_none()
    return None if row is None else _delivery(row)


def queue_due(session: Session, now: datetime, lease: timedelta, limit: int) -> list[UUID]:
    """Mark what is due as handed over; due again after ``lease`` if nothing came of it."""
    return list(session.scalars(_QUEUE, {"now": now, "lease": lease, "limit": limit}))


def release(session: Session, ids: Sequence[UUID], now: datetime) -> None:
    """Take back what could not be handed over."""
    session.execute(_RELEASE, {"ids": list(ids), "now": now})


def count_queued(session: Session, now: datetime) -> int:
    """Handed over and not yet begun."""
    return int(session.execute(_COUNT_QUEUED, {"now": now}).scalar_one())


def record(
    session: Session, delivery: Delivery, *, state: State, next_at: datetime, answer: str, now: datetime
) -> bool:
    """Write what came of an attempt; ``False`` when the delivery is in other hands by now."""
    parameters = {
        "id": delivery.id,
        "attempts": delivery.attempts,
        "state": state.value,
        "next_at": next_at,
        "answer": answer[:MAX_ANSWER_CHARS],
        "now": now,
    }
    return session.execute(_RECORD, parameters).one_or_none() is not None


def list_of(session: Session, user_id: UUID, notification_id: UUID) -> list[DeliveryView]:
    """How the user's notification fares."""
    rows = session.execute(_LIST, {"user_id": user_id, "notification_id": notification_id})
    return [DeliveryView(*row) for row in rows]


def cancel(session: Session, target_id: UUID, answer: str, now: datetime) -> None:
    """Give up what waits for a webhook."""
    session.execute(_CANCEL, {"target_id": target_id, "answer": answer, "now": now})


class Held(NamedTuple):
    """A delivery that waits for its digest."""

    id: UUID
    notification_id: UUID
    user_id: UUID
    channel: str


def lock_held(session: Session, now: datetime, limit: int) -> list[Held]:
    """Those whose digest is due, a user's and channel's together."""
    return [Held(*row) for row in session.execute(_HELD, {"now": now, "limit": limit})]


def mark_digested(session: Session, ids: Sequence[UUID], digest_id: UUID, now: datetime) -> None:
    """They went out with the digest of that id."""
    session.execute(_DIGESTED, {"ids": list(ids), "answer": f"in digest {digest_id}", "now": now})


def _delivery(row: Any) -> Delivery:
    return Delivery(row[0], row[1], row[2], Channel(row[3]), *row[4:])
