"""Signing keys."""

from datetime import datetime

from sqlalchemy import insert, select, text, update
from sqlalchemy.orm import Session

from user_service.domain.keys import KeyState, StoredKey
from user_service.models import SigningKeyRow

_KEYS = SigningKeyRow.__table__
_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('user_service signing keys', 0))")


def lock_keys(session: Session) -> None:
    """One rotation at a time, until commit."""
    session.execute(_LOCK)


def list_keys(session: Session) -> list[StoredKey]:
    """Every key that is not retired."""
    query = select(_KEYS.c.kid, _KEYS.c.state, _KEYS.c.sealed, _KEYS.c.signs_from, _KEYS.c.replaced_at).where(
        _KEYS.c.state != KeyState.RETIRED
    )
    return [
        StoredKey(kid, KeyState(state), sealed, signs_from, replaced_at)
        for kid, state, sealed, signs_from, replaced_at in session.execute(query)
    ]


def add_active_key(session: Session, kid: str, sealed: bytes, *, at: datetime, signs_from: datetime) -> None:
    """A new key; the one active before becomes previous, replaced when the new one starts to sign."""
    session.execute(
        update(SigningKeyRow)
        .where(_KEYS.c.state == KeyState.ACTIVE)
        .values(state=KeyState.PREVIOUS, replaced_at=signs_from)
    )
    session.execute(
        insert(SigningKeyRow).values(
            kid=kid, state=KeyState.ACTIVE, sealed=sealed, created_at=at, signs_from=signs_from
        )
    )


def retire_key(session: Session, kid: str) -> None:
    """Nothing signed with it lives; its private half is erased."""
    session.execute(update(SigningKeyRow).where(_KEYS.c.kid == kid).values(state=KeyState.RETIRED, sealed=b""))
