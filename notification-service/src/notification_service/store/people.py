"""Users as user-service last told of them."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from notification_service.domain.people import Person
from saras_common.events import UserChanged

_COLUMNS = "user_id, version, email, full_name, status = 'active', 'admin' = ANY (roles), kyc_status"

_LOCK = text(f"SELECT {_COLUMNS} FROM people WHERE user_id = ANY (:ids) ORDER BY user_id FOR UPDATE")  # noqa: S608
_FIND = text(f"SELECT {_COLUMNS} FROM people WHERE user_id = ANY (:ids)")  # noqa: S608 - our own columns
_ADMINS = text("SELECT user_id FROM people WHERE 'admin' = ANY (roles) AND status = 'active' ORDER BY user_id")
_ACTIVE = text("SELECT user_id FROM people WHERE status = 'active' AND user_id > :after ORDER BY user_id LIMIT :limit")

_SAVE = text("""
INSERT INTO people (user_id, version, email, full_name, status, roles, kyc_status)
SELECT user_id, version, email, full_name, status, string_to_array(roles, ','), kyc_status
FROM unnest(CAST(:user_ids AS uuid[]), CAST(:versions AS bigint[]), CAST(:emails AS text[]), CAST(:names AS text[]),
    CAST(:statuses AS text[]), CAST(:roles AS text[]), CAST(:kyc AS text[]))
    AS news (user_id, version, email, full_name, status, roles, kyc_status)
ON CONFLICT (user_id) DO UPDATE SET version = excluded.version, email = excluded.email,
    full_name = excluded.full_name, status = excluded.status, roles = excluded.roles, kyc_status = excluded.kyc_status
WHERE people.version < excluded.version
""")


def lock_people(session: Session, user_ids: Iterable[UUID]) -> dict[UUID, Person]:
    """Those of the users met before, locked in the order of their ids."""
    return {row[0]: Person(*row) for row in session.execute(_LOCK, {"ids": sorted(set(user_ids))})}


def find_people(session: Session, user_ids: Iterable[UUID]) -> dict[UUID, Person]:
    """Those of the users met before."""
    return {row[0]: Person(*row) for row in session.execute(_FIND, {"ids": list(set(user_ids))})}


def list_admins(session: Session) -> list[UUID]:
    """Active administrators."""
    return list(session.scalars(_ADMINS))


def list_active(session: Session, *, after: UUID, limit: int) -> list[UUID]:
    """Active users by id, a part of them: those beyond ``after``."""
    return list(session.scalars(_ACTIVE, {"after": after, "limit": limit}))


def save_people(session: Session, news: Sequence[UserChanged]) -> None:
    """Keep the state in ``news``, one event a user, unless a newer one is stored."""
    ordered = sorted(news, key=lambda event: event.user_id)
    session.execute(
        _SAVE,
        {
            "user_ids": [event.user_id for event in ordered],
            "versions": [event.version for event in ordered],
            "emails": [event.email for event in ordered],
            "names": [event.full_name for event in ordered],
            "statuses": [event.status for event in ordered],
            "roles": [",".join(event.roles) for event in ordered],
            "kyc": [event.kyc_status for event in ordered],
        },
    )
