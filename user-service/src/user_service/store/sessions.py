"""Sessions and their refresh tokens."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, insert, select, text, update
from sqlalchemy.orm import Session

from saras_common.errors import NotFound
from user_service.domain.sessions import LoginSession, RefreshToken
from user_service.models import RefreshTokenRow, SessionRow

_SESSIONS = SessionRow.__table__
_TOKENS = RefreshTokenRow.__table__
_COLUMNS = [_SESSIONS.c[name] for name in LoginSession.__slots__]


def add_session(session: Session, login: LoginSession, token_hash: bytes) -> None:
    """A new session with the first refresh token of its family."""
    session.execute(insert(SessionRow).values({name: getattr(login, name) for name in LoginSession.__slots__}))
    add_refresh_token(session, login.id, token_hash, at=login.created_at)


_ADD_MANY = text(
    "INSERT INTO sessions (id, user_id, address, agent, created_at, last_used_at, expires_at)"
    " SELECT id, user_id, '', :agent, :at, :at, :expires_at"
    " FROM unnest(CAST(:ids AS uuid[]), CAST(:user_ids AS uuid[])) AS new (id, user_id)"
)


def add_sessions(
    session: Session, pairs: Sequence[tuple[UUID, UUID]], *, agent: str, at: datetime, expires_at: datetime
) -> None:
    """Many ``(session id, user id)`` in one statement, without refresh tokens."""
    ids, user_ids = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    session.execute(_ADD_MANY, {"ids": ids, "user_ids": user_ids, "agent": agent, "at": at, "expires_at": expires_at})


def add_refresh_token(session: Session, session_id: UUID, token_hash: bytes, *, at: datetime) -> None:
    """One more token of a family."""
    session.execute(insert(RefreshTokenRow).values(token_hash=token_hash, session_id=session_id, issued_at=at))


def find_refresh(session: Session, token_hash: bytes) -> tuple[RefreshToken, LoginSession] | None:
    """The token and its session, both locked: whoever shows the same token meanwhile waits and sees what was done.

    The session is locked first and alone decides the order, so a refresh and a logout cannot wait for each other.
    """
    owner = select(_TOKENS.c.session_id).where(_TOKENS.c.token_hash == token_hash).scalar_subquery()
    login_row = session.execute(select(*_COLUMNS).where(_SESSIONS.c.id == owner).with_for_update()).one_or_none()
    if login_row is None:
        return None
    token_row = session.execute(
        select(_TOKENS.c.token_hash, _TOKENS.c.session_id, _TOKENS.c.used_at, _TOKENS.c.successor_sealed).where(
            _TOKENS.c.token_hash == token_hash
        )
    ).one()
    return RefreshToken(*token_row), _login(login_row)


def set_refresh_used(session: Session, token_hash: bytes, successor_sealed: bytes, *, at: datetime) -> None:
    """The token was spent and this is what it bought."""
    session.execute(
        update(RefreshTokenRow)
        .where(_TOKENS.c.token_hash == token_hash)
        .values(used_at=at, successor_sealed=successor_sealed)
    )


def set_session_used(session: Session, session_id: UUID, *, at: datetime) -> None:
    """The session was seen alive."""
    session.execute(update(SessionRow).where(_SESSIONS.c.id == session_id).values(last_used_at=at))


def is_known_agent(session: Session, user_id: UUID, agent: str) -> bool:
    """Whether the user signed in with this program before."""
    query = select(_SESSIONS.c.id).where(_SESSIONS.c.user_id == user_id, _SESSIONS.c.agent == agent).limit(1)
    return session.execute(query).first() is not None


def list_live_sessions(
    session: Session, user_id: UUID, now: datetime, *, after: UUID | None, limit: int
) -> list[LoginSession]:
    """A page of the user's sessions that are neither ended nor over, oldest first."""
    query = (
        select(*_COLUMNS)
        .where(_SESSIONS.c.user_id == user_id, _SESSIONS.c.ended_at.is_(None), _SESSIONS.c.expires_at > now)
        .order_by(_SESSIONS.c.id)
        .limit(limit)
    )
    if after is not None:
        query = query.where(_SESSIONS.c.id > after)
    return [_login(row) for row in session.execute(query)]


def end_session(session: Session, session_id: UUID, *, user_id: UUID, reason: str, at: datetime) -> bool:
    """End one of the user's sessions; ``False`` when it had ended before, `NotFound` when it is not the user's."""
    mine = (_SESSIONS.c.id == session_id) & (_SESSIONS.c.user_id == user_id)
    if session.execute(select(_SESSIONS.c.id).where(mine)).first() is None:
        raise NotFound
    ended = session.execute(
        update(SessionRow)
        .where(mine, _SESSIONS.c.ended_at.is_(None))
        .values(ended_at=at, end_reason=reason)
        .returning(_SESSIONS.c.id)
    )
    return ended.first() is not None


def end_all_sessions(session: Session, user_id: UUID, *, reason: str, at: datetime) -> list[UUID]:
    """End every session of the user; those that were live."""
    ended = session.execute(
        update(SessionRow)
        .where(_SESSIONS.c.user_id == user_id, _SESSIONS.c.ended_at.is_(None))
        .values(ended_at=at, end_reason=reason)
        .returning(_SESSIONS.c.id)
    )
    return list(ended.scalars())


def delete_sessions(session: Session, *, over_before: datetime, limit: int) -> int:
    """Forget sessions, with their tokens, that expired before ``over_before``; how many."""
    some = select(_SESSIONS.c.id).where(_SESSIONS.c.expires_at < over_before).limit(limit)
    return len(session.execute(delete(SessionRow).where(_SESSIONS.c.id.in_(some)).returning(_SESSIONS.c.id)).all())


def _login(row: Row[Any]) -> LoginSession:
    return LoginSession(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public way to a row as a mapping
