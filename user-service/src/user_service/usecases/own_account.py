"""What a user reads and changes of its own."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from user_service.domain.passwords import normalised_password
from user_service.domain.people import User
from user_service.domain.refusals import InvalidCredentials
from user_service.domain.sessions import LoginSession
from user_service.store import sessions, users
from user_service.usecases.attempts import counted, forgive, limits_of
from user_service.usecases.context import Context, Origin, announce, record
from user_service.usecases.registration import checked_password
from user_service.usecases.sessions import TokenPair, begin_session, revoke_user, token_pair


def get_user(ctx: Context, user_id: UUID) -> User:
    """The user itself."""
    with ctx.database.for_users(user_id) as session:
        return users.get_user(session, user_id)


def change_profile(ctx: Context, user_id: UUID, changes: Mapping[str, Any]) -> User:
    """Set ``full_name`` and ``phone``, whichever are given."""
    with ctx.database.for_users(user_id) as session:
        user = users.get_user(session, user_id, lock=True)
        if all(getattr(user, name) == value for name, value in changes.items()):
            return user
        user = users.change_user(session, user_id, changes, at=ctx.clock.now())
        announce(ctx, session, user)
        return user


def change_password(
    ctx: Context, origin: Origin, user_id: UUID, *, current_password: str, new_password: str
) -> TokenPair:
    """Replace the password; `InvalidCredentials`, `WeakPassword`, `LoginThrottled`.

    Every session ends and every token dies within a second, this device's too: it goes on with the pair returned.
    """
    judged = get_user(ctx, user_id)
    new_password = checked_password(ctx, new_password, email=judged.email, full_name=judged.full_name)
    limits = limits_of(ctx, judged.email, origin)
    with counted(ctx, limits):
        pass  # committed by itself: a wrong guess stays counted
    current_password = normalised_password(current_password)
    if not ctx.hasher.verify(current_password, judged.password_hash):
        raise InvalidCredentials
    new_hash = ctx.hasher.hash(new_password)
    now = ctx.clock.now()
    with ctx.database.for_users(user_id) as session:
        stored = users.get_user(session, user_id, lock=True).password_hash
        if stored != judged.password_hash and not ctx.hasher.verify(current_password, stored):
            raise InvalidCredentials  # changed by another request meanwhile
        user = users.change_user(session, user_id, {"password_hash": new_hash}, at=now, revoke=True)
        sessions.end_all_sessions(session, user_id, reason="password_changed", at=now)
        revoke_user(ctx, session, user)
        login_session, refresh_token = begin_session(ctx, session, user, origin)
        forgive(session, limits)
        record(ctx, session, "password_changed", user_id=user_id, origin=origin)
        announce(ctx, session, user)
    return token_pair(ctx, user, login_session.id, refresh_token)


def list_sessions(ctx: Context, user_id: UUID, *, after: UUID | None, limit: int) -> list[LoginSession]:
    """The user's live sessions, oldest first; one more than ``limit`` when there are more."""
    with ctx.database.for_users(user_id) as session:
        return sessions.list_live_sessions(session, user_id, ctx.clock.now(), after=after, limit=limit + 1)
