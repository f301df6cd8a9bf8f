"""Users."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, insert, select, text, update
from sqlalchemy.orm import Session

from saras_common.errors import NotFound
from user_service.domain.people import KycStatus, Role, User, UserStatus
from user_service.models import UserRow

_USERS = UserRow.__table__


def add_user(session: Session, user: User) -> None:
    """Insert; the unique index ``users_email_key`` refuses a second use of an address."""
    session.execute(
        insert(UserRow).values(
            id=user.id,
            email=user.email,
            full_name=user.full_name,
            phone=user.phone,
            password_hash=user.password_hash,
            status=user.status,
            roles=sorted(user.roles),
            kyc_status=user.kyc_status,
            version=user.version,
            min_version=user.min_version,
            created_at=user.created_at,
            updated_at=user.updated_at,
        )
    )


_ADD_MANY = text(
    "INSERT INTO users (id, email, full_name, password_hash, status, roles, kyc_status, version, min_version,"
    " created_at, updated_at)"
    " SELECT id, email, full_name, :password_hash, 'active', ARRAY['user'], :kyc_status, 1, 0, :at, :at"
    " FROM unnest(CAST(:ids AS uuid[]), CAST(:emails AS text[]), CAST(:names AS text[])) AS new (id, email, full_name)"
    " ON CONFLICT (email) DO NOTHING RETURNING id"
)


def add_users(
    session: Session, users: Sequence[tuple[UUID, str, str]], *, password_hash: str, kyc_status: str, at: datetime
) -> set[UUID]:
    """Insert many ``(id, email, full name)`` with one password in one statement; the ids that were new."""
    ids, emails, names = ([user[column] for user in users] for column in range(3))
    parameters = {"ids": ids, "emails": emails, "names": names}
    added = session.execute(
        _ADD_MANY, {**parameters, "password_hash": password_hash, "kyc_status": kyc_status, "at": at}
    )
    return set(added.scalars())


def find_user_by_email(session: Session, email: str) -> User | None:
    """By normalised address."""
    row = session.execute(select(_USERS).where(_USERS.c.email == email)).one_or_none()
    return None if row is None else _user(row)


def get_user(session: Session, user_id: UUID, *, lock: bool = False) -> User:
    """By id; `NotFound` when there is none this session may see. ``lock`` keeps other writers out until commit."""
    query = select(_USERS).where(_USERS.c.id == user_id)
    row = session.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise NotFound
    return _user(row)


def list_users_by_id(session: Session, user_ids: Sequence[UUID]) -> list[User]:
    """Those of ``user_ids`` that exist, in no particular order."""
    return [_user(row) for row in session.execute(select(_USERS).where(_USERS.c.id.in_(user_ids)))]


def list_users_by_email(session: Session, emails: Sequence[str]) -> list[User]:
    """Those of ``emails`` that are registered, in no particular order."""
    return [_user(row) for row in session.execute(select(_USERS).where(_USERS.c.email.in_(emails)))]


def list_users(
    session: Session,
    *,
    after: UUID | None,
    limit: int,
    status: UserStatus | None = None,
    kyc_status: KycStatus | None = None,
    email: str | None = None,
) -> list[User]:
    """A page in the order of registration, from the user after ``after``."""
    query = select(_USERS).order_by(_USERS.c.id).limit(limit)
    for column, wanted in (("status", status), ("kyc_status", kyc_status), ("email", email)):
        if wanted is not None:
            query = query.where(_USERS.c[column] == wanted)
    if after is not None:
        query = query.where(_USERS.c.id > after)
    return [_user(row) for row in session.execute(query)]


def change_user(
    session: Session, user_id: UUID, changes: Mapping[str, Any], *, at: datetime, revoke: bool = False
) -> User:
    """Set columns, raise ``version``, and with ``revoke`` make every access token signed before worthless."""
    values: dict[str, Any] = {**changes, "version": _USERS.c.version + 1, "updated_at": at}
    if "roles" in values:
        values["roles"] = sorted(values["roles"])
    if revoke:
        values["min_version"] = _USERS.c.version + 1
    row = session.execute(update(UserRow).where(_USERS.c.id == user_id).values(values).returning(_USERS)).one_or_none()
    if row is None:
        raise NotFound
    return _user(row)


def set_password_hash(session: Session, user_id: UUID, password_hash: str) -> None:
    """The same password, hashed anew: nothing about the user changed."""
    session.execute(update(UserRow).where(_USERS.c.id == user_id).values(password_hash=password_hash))


def is_any_admin(session: Session) -> bool:
    """Whether there is an administrator."""
    query = select(func.count()).select_from(_USERS).where(_USERS.c.roles.contains([Role.ADMIN.value]))
    return session.execute(query).scalar_one() > 0


def _user(row: Row[Any]) -> User:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public way to a row as a mapping
    values["status"] = UserStatus(values["status"])
    values["kyc_status"] = KycStatus(values["kyc_status"])
    values["roles"] = frozenset(values["roles"])
    return User(**values)
