"""Becoming a user."""

import secrets

from sqlalchemy.exc import IntegrityError

from saras_common.db import is_unique_violation
from user_service.domain.passwords import fault_of, normalised_password
from user_service.domain.people import KycStatus, Role, User, UserStatus, normalised_email
from user_service.domain.refusals import EmailTaken, WeakPassword
from user_service.store import users
from user_service.usecases.context import NOWHERE, Context, Origin, announce, record


def register(
    ctx: Context, origin: Origin, *, email: str, password: str, full_name: str, phone: str | None = None
) -> User:
    """A new user with the role ``user``; `EmailTaken`, `WeakPassword`. ``email`` and ``phone`` are normalised."""
    password = checked_password(ctx, password, email=email, full_name=full_name)
    user = _new_user(ctx, email, ctx.hasher.hash(password), full_name, phone, frozenset({Role.USER.value}))
    try:
        with ctx.database.for_service() as session:
            users.add_user(session, user)
            record(ctx, session, "registered", user_id=user.id, origin=origin)
            announce(ctx, session, user)
    except IntegrityError as error:
        if is_unique_violation(error, "users_email_key"):
            raise EmailTaken from error
        raise
    return user


def ensure_admin(ctx: Context, *, email: str, password: str | None) -> str | None:
    """Make the first administrator, if there is none; the password to show once, when it was made up here.

    Nothing existing is changed: neither another administrator nor a user who has this address. ``password`` comes from
    whoever runs the platform and is taken as it is.
    """
    with ctx.database.for_service() as session:
        if users.is_any_admin(session):
            return None
    generated = None if password else secrets.token_urlsafe(15)
    chosen = normalised_password(password or generated or "")
    roles = frozenset({Role.USER.value, Role.ADMIN.value})
    admin = _new_user(ctx, normalised_email(email), ctx.hasher.hash(chosen), "Administrator", None, roles)
    try:
        with ctx.database.for_service() as session:
            users.add_user(session, admin)
            record(ctx, session, "first_admin_made", user_id=admin.id, origin=NOWHERE)
            announce(ctx, session, admin)
    except IntegrityError as error:
        if is_unique_violation(error, "users_email_key"):
            return None  # another process was quicker
        raise
    return generated


def checked_password(ctx: Context, password: str, *, email: str, full_name: str) -> str:
    """The password as it is hashed; `WeakPassword` when it is not acceptable."""
    password = normalised_password(password)
    fault = fault_of(password, common=ctx.common_passwords, email=email, full_name=full_name)
    if fault is not None:
        raise WeakPassword(errors=[{"field": "password", "message": fault}])
    return password


def _new_user(
    ctx: Context, email: str, password_hash: str, full_name: str, phone: str | None, roles: frozenset[str]
) -> User:
    now = ctx.clock.now()
    return User(
        id=ctx.new_id(),
        email=email,
        full_name=full_name,
        phone=phone,
        password_hash=password_hash,
        status=UserStatus.ACTIVE,
        roles=roles,
        kyc_status=KycStatus.NONE,
        version=1,
        min_version=0,
        created_at=now,
        updated_at=now,
    )
