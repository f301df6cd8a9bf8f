"""Leaky buckets of failed attempts."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session

from user_service.domain.throttle import Limit

# sorted, so that two attempts lock the rows they share in the same order
_TAKE = text(
    "INSERT INTO throttles AS t (key, busy_until)"
    " SELECT key, CAST(:now AS timestamptz) + cost"
    " FROM unnest(CAST(:keys AS text[]), CAST(:costs AS interval[])) AS asked (key, cost) ORDER BY key"
    " ON CONFLICT (key) DO UPDATE SET busy_until ="
    " greatest(t.busy_until, CAST(:now AS timestamptz)) + (excluded.busy_until - CAST(:now AS timestamptz))"
    " RETURNING key, busy_until"
)
_GIVE_BACK = text("UPDATE throttles SET busy_until = busy_until - CAST(:cost AS interval) WHERE key = :key")
_PRUNE = text("DELETE FROM throttles WHERE busy_until <= :now")


def take_slots(session: Session, limits: Sequence[Limit], now: datetime) -> float:
    """One slot of each bucket; seconds until an attempt would fit, 0 when it fits now.

    Above 0 the caller rolls back, so an attempt that was refused takes nothing.
    """
    parameters = {
        "keys": [limit.key for limit in limits],
        "costs": [timedelta(seconds=limit.every_s) for limit in limits],
        "now": now,
    }
    busy_until: dict[str, datetime] = {row.key: row.busy_until for row in session.execute(_TAKE, parameters)}
    return max(
        0.0,
        *((busy_until[limit.key] - now).total_seconds() - limit.full_s for limit in limits),
    )


def give_back_slots(session: Session, limits: Sequence[Limit]) -> None:
    """The attempt succeeded."""
    in_order = sorted(limits, key=lambda limit: limit.key)
    session.execute(_GIVE_BACK, [{"key": limit.key, "cost": timedelta(seconds=limit.every_s)} for limit in in_order])


def delete_idle_throttles(session: Session, now: datetime) -> None:
    """Forget empty buckets."""
    session.execute(_PRUNE, {"now": now})
