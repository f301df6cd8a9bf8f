"""Two-step sign-in: time-based codes (RFC 6238, 30 s, one step of clock drift either way), each good once."""

import secrets
from dataclasses import dataclass
from uuid import UUID

import pyotp
from sqlalchemy.orm import Session

from user_service.domain.refusals import InvalidCode, TotpAlreadyOn, TotpNotEnrolled
from user_service.store import totp, users
from user_service.store.totp import Authenticator
from user_service.usecases.attempts import counted, forgive, limits_of
from user_service.usecases.context import Context, Origin, record

ISSUER = "Saras"
STEP_S = 30
_DRIFT_STEPS = 1


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What the user's authenticator needs, shown once."""

    secret: str
    uri: str

    def __repr__(self) -> str:
        return "Enrolment(…)"


def enroll_totp(ctx: Context, origin: Origin, user_id: UUID) -> Enrolment:
    """A new secret, in force once confirmed; `TotpAlreadyOn`."""
    secret = pyotp.random_base32()
    with ctx.database.for_users(user_id) as session:
        user = users.get_user(session, user_id)
        sealed = ctx.vault.seal(secret.encode(), _place(user_id))
        if not totp.put_authenticator(session, user_id, sealed, at=ctx.clock.now()):
            raise TotpAlreadyOn
        record(ctx, session, "totp_enrolled", user_id=user_id, origin=origin)
    return Enrolment(secret, pyotp.TOTP(secret).provisioning_uri(name=user.email, issuer_name=ISSUER))


def confirm_totp(ctx: Context, origin: Origin, user_id: UUID, code: str) -> None:
    """Turn it on; `TotpNotEnrolled`, `TotpAlreadyOn`, `InvalidCode`, `LoginThrottled`."""
    _act_on_code(ctx, origin, user_id, code, turn_on=True)


def disable_totp(ctx: Context, origin: Origin, user_id: UUID, code: str) -> None:
    """Turn it off; `TotpNotEnrolled`, `InvalidCode`, `LoginThrottled`."""
    _act_on_code(ctx, origin, user_id, code, turn_on=False)


def _act_on_code(ctx: Context, origin: Origin, user_id: UUID, code: str, *, turn_on: bool) -> None:
    """Two transactions: the attempt stays counted when the code turns out wrong."""
    with ctx.database.for_users(user_id) as session:
        email = users.get_user(session, user_id).email
    limits = limits_of(ctx, email, origin)
    with counted(ctx, limits):
        pass
    with ctx.database.for_users(user_id) as session:
        authenticator = totp.find_authenticator(session, user_id)
        if authenticator is None or (authenticator.confirmed_at is None and not turn_on):
            raise TotpNotEnrolled
        if authenticator.confirmed_at is not None and turn_on:
            raise TotpAlreadyOn
        if not spend_code(ctx, session, authenticator, code):
            raise InvalidCode(errors=[{"field": "code", "message": "wrong or used before"}])
        if turn_on:
            totp.set_confirmed(session, user_id, at=ctx.clock.now())
        else:
            totp.delete_authenticator(session, user_id)
        forgive(session, limits)
        record(ctx, session, "totp_on" if turn_on else "totp_off", user_id=user_id, origin=origin)


def spend_code(ctx: Context, session: Session, authenticator: Authenticator, code: str) -> bool:
    """Whether ``code`` is good now and was not used before; from here on it was."""
    secret = ctx.vault.open(authenticator.secret_sealed, _place(authenticator.user_id)).decode()
    codes = pyotp.TOTP(secret, interval=STEP_S)
    current = int(ctx.clock.now().timestamp()) // STEP_S
    for step in range(current - _DRIFT_STEPS, current + _DRIFT_STEPS + 1):
        if secrets.compare_digest(codes.generate_otp(step).encode(), code.encode()):
            return totp.take_step(session, authenticator.user_id, step)
    return False


def _place(user_id: UUID) -> str:
    return f"totp:{user_id}"
