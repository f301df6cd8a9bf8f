"""KYC: declared by the user, sealed at rest, decided by an administrator."""

from dataclasses import asdict
from datetime import date
from uuid import UUID

from saras_common import jsonio
from saras_common.errors import InvalidInput, NotFound
from user_service.domain.kyc import MAX_AGE_YEARS, MIN_AGE_YEARS, KycDetails, KycRecord, age_years
from user_service.domain.people import KYC_TRANSITIONS, KycStatus, User
from user_service.domain.refusals import KycNotPending
from user_service.store import kyc, users
from user_service.usecases.context import Context, Origin, announce, record


def submit_kyc(ctx: Context, origin: Origin, user_id: UUID, details: KycDetails) -> tuple[KycRecord, KycDetails]:
    """Store a declaration, in place of an earlier one; it waits for a decision."""
    now = ctx.clock.now()
    if not MIN_AGE_YEARS <= age_years(details.date_of_birth, now.date()) <= MAX_AGE_YEARS:
        message = f"must be {MIN_AGE_YEARS} to {MAX_AGE_YEARS} years ago"
        raise InvalidInput(errors=[{"field": "date_of_birth", "message": message}])
    sealed = ctx.vault.seal(jsonio.dumps(asdict(details)), _place(user_id))
    with ctx.database.for_users(user_id) as session:
        users.get_user(session, user_id, lock=True)
        stored = kyc.put_kyc(session, user_id, sealed, at=now)
        user = users.change_user(session, user_id, {"kyc_status": KycStatus.PENDING}, at=now)
        record(ctx, session, "kyc_submitted", user_id=user_id, origin=origin)
        announce(ctx, session, user)
    return stored, details


def get_kyc(ctx: Context, user_id: UUID, *, read_by: UUID | None = None) -> tuple[KycRecord, KycDetails]:
    """A declaration; `NotFound` when there is none. ``read_by`` is the administrator who looks at it, for the audit."""
    with ctx.database.for_users(user_id) as session:
        stored = kyc.find_kyc(session, user_id)
        if stored is None:
            raise NotFound
        if read_by is not None:
            record(ctx, session, "kyc_read", user_id=user_id, actor_id=read_by)
    values = jsonio.loads(ctx.vault.open(stored.sealed, _place(user_id)))
    values["date_of_birth"] = date.fromisoformat(values["date_of_birth"])
    return stored, KycDetails(**values)


def decide_kyc(
    ctx: Context, origin: Origin, user_id: UUID, *, by: UUID, approve: bool, reason: str | None = None
) -> User:
    """Approve or reject what waits; `NotFound`, `KycNotPending`."""
    decision = KycStatus.APPROVED if approve else KycStatus.REJECTED
    now = ctx.clock.now()
    with ctx.database.for_service() as session:
        user = users.get_user(session, user_id, lock=True)
        if decision not in KYC_TRANSITIONS[user.kyc_status]:
            raise KycNotPending
        kyc.decide_kyc(session, user_id, decision, by=by, reason=reason, at=now)
        user = users.change_user(session, user_id, {"kyc_status": decision}, at=now)
        record(ctx, session, f"kyc_{decision}", user_id=user_id, actor_id=by, origin=origin)
        announce(ctx, session, user)
    return user


def _place(user_id: UUID) -> str:
    return f"kyc:{user_id}"
