"""Sessions: how they begin, go on by refreshing, and end."""

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from saras_common.auth import Identity
from user_service.domain.people import User, UserStatus
from user_service.domain.refusals import InvalidRefreshToken
from user_service.domain.sessions import LoginSession, Refresh, RefreshToken, decide_refresh
from user_service.store import revocations, sessions, users
from user_service.usecases.context import Context, Origin, record
from user_service.vault import Vault

_TOKEN_BYTES = 32
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


@dataclass(frozen=True, slots=True)
class TokenPair:
    """What a client holds: an access token good for ``expires_in`` seconds and the means to get the next."""

    access_token: str
    refresh_token: str
    expires_in: int

    def __repr__(self) -> str:
        return "TokenPair(…)"


def begin_session(ctx: Context, session: Session, user: User, origin: Origin) -> tuple[LoginSession, str]:
    """A new session of ``user`` in the caller's transaction, and its first refresh token."""
    now = ctx.clock.now()
    login = LoginSession(
        ctx.new_id(), user.id, origin.address, origin.agent, now, now, now + ctx.rules.session_ttl, ended_at=None
    )
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    sessions.add_session(session, login, _hash(token))
    return login, token


def token_pair(ctx: Context, user: User, session_id: UUID, refresh_token: str) -> TokenPair:
    """The pair for a session that stands; call it after the commit."""
    return TokenPair(access_token(ctx, user, session_id), refresh_token, ctx.rules.access_ttl_s)


def access_token(ctx: Context, user: User, session_id: UUID) -> str:
    """An access token for ``user`` as it was read with the session."""
    identity = Identity(user.id, session_id, user.roles, user.version, expires_at=0.0)
    return ctx.signer.sign(identity, ctx.rules.access_ttl_s)


def refresh(ctx: Context, origin: Origin, refresh_token: str) -> TokenPair:
    """The next pair; `InvalidRefreshToken`.

    However often and at once a token is shown within its grace, it has one successor; shown later it ends its session.
    """
    if not _TOKEN.fullmatch(refresh_token):
        raise InvalidRefreshToken
    pair: TokenPair | None = None
    with ctx.database.for_service() as session:
        found = sessions.find_refresh(session, _hash(refresh_token))
        if found is not None:
            pair = _answer_refresh(ctx, session, origin, refresh_token, *found)
    if pair is None:
        raise InvalidRefreshToken  # after the commit: a revoked family stays revoked
    return pair


def _answer_refresh(
    ctx: Context, session: Session, origin: Origin, shown: str, token: RefreshToken, login: LoginSession
) -> TokenPair | None:
    now = ctx.clock.now()
    user = users.get_user(session, login.user_id)
    decision = decide_refresh(token, login, now)
    if user.status is not UserStatus.ACTIVE or decision is Refresh.REFUSE:
        return None
    if decision is Refresh.REVOKE:
        end_in(ctx, session, login.id, user.id, reason="refresh_token_reused", origin=origin)
        return None
    if decision is Refresh.ROTATE:
        successor = _rotate(session, shown, login, now)
    else:
        successor = _sealing(shown).open(token.successor_sealed or b"", _place(login.id)).decode()
    return token_pair(ctx, user, login.id, successor)


def _rotate(session: Session, shown: str, login: LoginSession, now: datetime) -> str:
    successor = secrets.token_urlsafe(_TOKEN_BYTES)
    sessions.add_refresh_token(session, login.id, _hash(successor), at=now)
    sealed = _sealing(shown).seal(successor.encode(), _place(login.id))
    sessions.set_refresh_used(session, _hash(shown), sealed, at=now)
    sessions.set_session_used(session, login.id, at=now)
    return successor


def end_session(ctx: Context, origin: Origin, user_id: UUID, session_id: UUID, *, reason: str) -> None:
    """End one of the user's sessions, on every service within a second; `NotFound` when it is not the user's."""
    with ctx.database.for_users(user_id) as session:
        end_in(ctx, session, session_id, user_id, reason=reason, origin=origin)


def end_in(ctx: Context, session: Session, session_id: UUID, user_id: UUID, *, reason: str, origin: Origin) -> None:
    """`end_session` in the caller's transaction; a session that has ended stays as it is."""
    now = ctx.clock.now()
    if sessions.end_session(session, session_id, user_id=user_id, reason=reason, at=now):
        revocations.add_session_revocations(session, [session_id], at=now, new_id=ctx.new_id)
        record(ctx, session, "session_ended", user_id=user_id, origin=origin, session_id=str(session_id), reason=reason)


def revoke_user(ctx: Context, session: Session, user: User) -> None:
    """Tell the gateway that tokens signed below ``user.min_version`` are worthless."""
    revocations.add_user_revocation(session, user.id, user.min_version, at=ctx.clock.now(), new_id=ctx.new_id)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _sealing(token: str) -> Vault:
    """The successor is readable to whoever holds its predecessor, and to nobody with the database alone."""
    return Vault([hashlib.sha256(b"saras refresh successor " + token.encode()).digest()])


def _place(session_id: UUID) -> str:
    return f"successor:{session_id}"
