"""Users who sold on their own what a basket of theirs holds too."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from smallcase_service.domain.runs import ACTIVE, ENDED

_ACTIVE = ", ".join(f"'{state}'" for state in ACTIVE)
_ENDED = ", ".join(f"'{status}'" for status in sorted(ENDED))
_SELLS = (
    "NOT EXISTS (SELECT FROM runs r JOIN legs l ON l.run_id = r.id WHERE r.user_id = c.user_id"
    f" AND r.state IN ({_ACTIVE}) AND l.side = 'SELL' AND l.status NOT IN ({_ENDED}))"
)
"""None of the user's baskets is selling."""

_SUSPECT = text(
    "INSERT INTO checks (user_id, instrument) SELECT DISTINCT n.* FROM"
    " unnest(CAST(:users AS uuid[]), CAST(:names AS text[])) AS n (user_id, instrument)"
    " WHERE EXISTS (SELECT FROM holdings h WHERE h.user_id = n.user_id AND h.instrument = n.instrument"
    "   AND h.quantity > 0) ON CONFLICT (user_id, instrument) DO UPDATE SET asked_at = NULL"
)
_DUE = text(
    "SELECT DISTINCT c.user_id FROM checks c WHERE (c.asked_at IS NULL OR c.asked_at < :before)"  # noqa: S608
    f" AND {_SELLS} LIMIT :limit"
)
_ASK = text(
    f"UPDATE checks c SET asked_at = :now WHERE c.user_id = :user AND {_SELLS} RETURNING c.instrument"  # noqa: S608
)
_ASKED = text(
    f"SELECT c.instrument FROM checks c WHERE c.user_id = :user AND c.asked_at = :asked AND {_SELLS}"  # noqa: S608
)
_CLEAR = text(
    "DELETE FROM checks c WHERE c.user_id = :user AND c.asked_at = :asked AND NOT EXISTS ("  # noqa: S608
    f"SELECT FROM runs r WHERE r.user_id = c.user_id AND (r.state IN ({_ACTIVE}) OR r.ended_at >= :asked))"
)


def suspect(session: Session, pairs: Sequence[tuple[UUID, str]]) -> None:
    """These users sold this on their own; kept where a basket of theirs holds it too."""
    session.execute(_SUSPECT, {"users": [user for user, _ in pairs], "names": [name for _, name in pairs]})


def list_due(session: Session, before: datetime, limit: int) -> list[UUID]:
    """Users to ask about, none of whose baskets is selling, not asked about since ``before``."""
    return list(session.execute(_DUE, {"before": before, "limit": limit}).scalars())


def ask(session: Session, user_id: UUID, now: datetime) -> bool:
    """Note that the book is asked ``now``; whether there is anything to ask."""
    return bool(session.execute(_ASK, {"user": user_id, "now": now}).all())


def list_asked(session: Session, user_id: UUID, asked_at: datetime) -> list[str]:
    """Instruments the answer to what was asked is good for: not sold again since, no basket selling."""
    return list(session.execute(_ASKED, {"user": user_id, "asked": asked_at}).scalars())


def clear(session: Session, user_id: UUID, asked_at: datetime) -> None:
    """What was asked is settled, unless a run of the user's has moved shares meanwhile."""
    session.execute(_CLEAR, {"user": user_id, "asked": asked_at})
