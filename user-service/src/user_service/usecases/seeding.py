"""Many users and sessions at once, for demonstrations and benches. Sandbox mode only."""

from collections.abc import Sequence
from uuid import UUID

from user_service.domain.people import KycStatus, User
from user_service.domain.refusals import SandboxOnly
from user_service.store import sessions, users
from user_service.usecases.context import Context, announce, record
from user_service.usecases.registration import checked_password
from user_service.usecases.sessions import access_token

_AGENT = "saras-seed"


def seed_users(
    ctx: Context, people: Sequence[tuple[str, str]], *, password: str, is_kyc_approved: bool = False
) -> list[User]:
    """Users for ``(normalised email, full name)``, in that order, all with one password, hashed once.

    Those that exist already are returned as they are, so seeding twice changes nothing.
    """
    _refuse_outside_sandbox(ctx)
    password_hash = ctx.hasher.hash(checked_password(ctx, password, email="", full_name=""))
    kyc_status = KycStatus.APPROVED if is_kyc_approved else KycStatus.NONE
    wanted = [(ctx.new_id(), email, full_name) for email, full_name in people]
    with ctx.database.for_service() as session:
        added = users.add_users(session, wanted, password_hash=password_hash, kyc_status=kyc_status, at=ctx.clock.now())
        stored = {user.email: user for user in users.list_users_by_email(session, [email for email, _ in people])}
        announce(ctx, session, *(user for user in stored.values() if user.id in added))
        record(ctx, session, "users_seeded", user_id=None, count=len(added))
    return [stored[email] for email, _ in people]


def open_sessions(ctx: Context, user_ids: Sequence[UUID]) -> list[tuple[User, UUID, str]]:
    """A session and an access token for each of these users that exists: ``(user, session id, token)``."""
    _refuse_outside_sandbox(ctx)
    now = ctx.clock.now()
    with ctx.database.for_service() as session:
        opened = [(user, ctx.new_id()) for user in users.list_users_by_id(session, user_ids)]
        pairs = [(session_id, user.id) for user, session_id in opened]
        sessions.add_sessions(session, pairs, agent=_AGENT, at=now, expires_at=now + ctx.rules.session_ttl)
        record(ctx, session, "sessions_seeded", user_id=None, count=len(opened))
    return [(user, session_id, access_token(ctx, user, session_id)) for user, session_id in opened]


def _refuse_outside_sandbox(ctx: Context) -> None:
    if not ctx.rules.is_sandbox:
        raise SandboxOnly
