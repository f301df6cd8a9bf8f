"""What an administrator reads and changes."""

from typing import Any
from uuid import UUID

from user_service.domain.people import KycStatus, User, UserStatus
from user_service.domain.refusals import OwnAccount
from user_service.store import sessions, users
from user_service.usecases.context import Context, Origin, announce, record
from user_service.usecases.sessions import revoke_user


def list_users(
    ctx: Context,
    *,
    after: UUID | None,
    limit: int,
    status: UserStatus | None = None,
    kyc_status: KycStatus | None = None,
    email: str | None = None,
) -> list[User]:
    """A page in the order of registration; one more than ``limit`` when there are more."""
    with ctx.database.for_service() as session:
        return users.list_users(
            session, after=after, limit=limit + 1, status=status, kyc_status=kyc_status, email=email
        )


def change_user(
    ctx: Context,
    origin: Origin,
    user_id: UUID,
    *,
    by: UUID,
    status: UserStatus | None = None,
    roles: frozenset[str] | None = None,
) -> User:
    """Set status and roles; `NotFound`, `OwnAccount`.

    A disabled user's sessions end; after a change of roles the user's next refresh brings a token with the new ones.
    Either way tokens signed before are refused within a second.
    """
    if user_id == by:
        raise OwnAccount
    now = ctx.clock.now()
    with ctx.database.for_service() as session:
        user = users.get_user(session, user_id, lock=True)
        changes: dict[str, Any] = {}
        if status is not None and status is not user.status:
            changes["status"] = status
        if roles is not None and roles != user.roles:
            changes["roles"] = roles
        if not changes:
            return user
        is_disabled = changes.get("status") is UserStatus.DISABLED
        must_revoke = is_disabled or "roles" in changes
        user = users.change_user(session, user_id, changes, at=now, revoke=must_revoke)
        if is_disabled:
            sessions.end_all_sessions(session, user_id, reason="user_disabled", at=now)
        if must_revoke:
            revoke_user(ctx, session, user)
        record(
            ctx,
            session,
            "user_changed",
            user_id=user_id,
            actor_id=by,
            origin=origin,
            status=user.status.value,
            roles=sorted(user.roles),
        )
        announce(ctx, session, user)
    return user
