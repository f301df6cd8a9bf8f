"""Login. Three steps, because hashing takes 25 ms and must hold no lock: count the attempt and read, judge, commit."""

from sqlalchemy.orm import Session

from saras_common.events import UserLoggedIn
from saras_common.logs import request_id_var
from user_service.domain.passwords import normalised_password
from user_service.domain.people import User, UserStatus, normalised_email
from user_service.domain.refusals import AccountDisabled, InvalidCredentials, TotpRequired
from user_service.domain.sessions import LoginSession
from user_service.domain.throttle import Limit
from user_service.store import sessions, totp, users
from user_service.usecases.attempts import counted, forgive, limits_of
from user_service.usecases.context import Context, Origin, record
from user_service.usecases.sessions import TokenPair, begin_session, token_pair
from user_service.usecases.two_step import spend_code


def login(ctx: Context, origin: Origin, *, email: str, password: str, totp_code: str | None = None) -> TokenPair:
    """A new session; `InvalidCredentials`, `TotpRequired`, `AccountDisabled`, `LoginThrottled`.

    An unknown address costs the same work and gets the same answer as a wrong password.
    """
    email = _as_stored(email)
    password = normalised_password(password)
    limits = limits_of(ctx, email, origin)
    with counted(ctx, limits) as session:
        user = users.find_user_by_email(session, email)
    if not ctx.hasher.verify(password, None if user is None else user.password_hash) or user is None:
        _record_failure(ctx, user, origin)
        raise InvalidCredentials
    outdated = ctx.hasher.is_outdated(user.password_hash)
    better_hash = ctx.hasher.hash(password) if outdated else None
    try:
        with ctx.database.for_service() as session:
            user = _still_good(ctx, session, user, password)
            _check_second_step(ctx, session, user, totp_code)
            if better_hash is not None:
                users.set_password_hash(session, user.id, better_hash)
            login_session, refresh_token = _begin(ctx, session, user, origin)
            forgive(session, limits)
    except (TotpRequired, AccountDisabled):
        _forgive_alone(ctx, limits)  # the password was right
        raise
    except InvalidCredentials:
        _record_failure(ctx, user, origin)
        raise
    return token_pair(ctx, user, login_session.id, refresh_token)


def _as_stored(email: str) -> str:
    try:
        return normalised_email(email)
    except ValueError:
        return email.strip().lower()  # nobody's address: refused like any unknown one


def _still_good(ctx: Context, session: Session, judged: User, password: str) -> User:
    """The user as it stands now, locked; a hash that changed meanwhile (new password or rehash) is judged again."""
    user = users.get_user(session, judged.id, lock=True)
    if user.password_hash != judged.password_hash and not ctx.hasher.verify(password, user.password_hash):
        raise InvalidCredentials
    if user.status is not UserStatus.ACTIVE:
        raise AccountDisabled
    return user


def _check_second_step(ctx: Context, session: Session, user: User, totp_code: str | None) -> None:
    authenticator = totp.find_authenticator(session, user.id)
    if authenticator is None or authenticator.confirmed_at is None:
        return
    if totp_code is None:
        raise TotpRequired
    if not spend_code(ctx, session, authenticator, totp_code):
        raise InvalidCredentials


def _begin(ctx: Context, session: Session, user: User, origin: Origin) -> tuple[LoginSession, str]:
    is_new_device = not sessions.is_known_agent(session, user.id, origin.agent)
    login_session, refresh_token = begin_session(ctx, session, user, origin)
    event = UserLoggedIn(
        at=login_session.created_at,
        request_id=request_id_var.get(),
        user_id=user.id,
        session_id=login_session.id,
        new_device=is_new_device,
        address=origin.address,
        agent=origin.agent,
    )
    ctx.outbox.add(session, [event])
    record(ctx, session, "logged_in", user_id=user.id, origin=origin, session_id=str(login_session.id))
    return login_session, refresh_token


def _forgive_alone(ctx: Context, limits: list[Limit]) -> None:
    with ctx.database.for_service() as session:
        forgive(session, limits)


def _record_failure(ctx: Context, user: User | None, origin: Origin) -> None:
    with ctx.database.for_service() as session:
        record(ctx, session, "login_failed", user_id=None if user is None else user.id, origin=origin)
