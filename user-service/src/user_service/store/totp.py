"""Authenticators."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from user_service.models import TotpRow

_TOTP = TotpRow.__table__


@dataclass(frozen=True, slots=True)
class Authenticator:
    """A user's authenticator; it counts once it is confirmed."""

    user_id: UUID
    secret_sealed: bytes
    confirmed_at: datetime | None


def find_authenticator(session: Session, user_id: UUID) -> Authenticator | None:
    """The user's authenticator, confirmed or not."""
    query = select(_TOTP.c.user_id, _TOTP.c.secret_sealed, _TOTP.c.confirmed_at).where(_TOTP.c.user_id == user_id)
    row = session.execute(query).one_or_none()
    return None if row is None else Authenticator(*row)


def put_authenticator(session: Session, user_id: UUID, secret_sealed: bytes, *, at: datetime) -> bool:
    """Store a new, unconfirmed secret; ``False`` when a confirmed one is in its place."""
    values = {"secret_sealed": secret_sealed, "enrolled_at": at, "last_step": 0}
    statement = (
        insert(TotpRow)
        .values(user_id=user_id, **values)
        .on_conflict_do_update(index_elements=[_TOTP.c.user_id], set_=values, where=_TOTP.c.confirmed_at.is_(None))
        .returning(_TOTP.c.user_id)
    )
    return session.execute(statement).first() is not None


def take_step(session: Session, user_id: UUID, step: int) -> bool:
    """Spend the code of time step ``step``; ``False`` when it, or a later one, was spent before."""
    statement = (
        update(TotpRow)
        .where(_TOTP.c.user_id == user_id, _TOTP.c.last_step < step)
        .values(last_step=step)
        .returning(_TOTP.c.user_id)
    )
    return session.execute(statement).first() is not None


def set_confirmed(session: Session, user_id: UUID, *, at: datetime) -> None:
    """From now on sign-ins need a code."""
    session.execute(update(TotpRow).where(_TOTP.c.user_id == user_id).values(confirmed_at=at))


def delete_authenticator(session: Session, user_id: UUID) -> None:
    """Back to the password alone."""
    session.execute(delete(TotpRow).where(_TOTP.c.user_id == user_id))
