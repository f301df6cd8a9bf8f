"""Wishes of users, and everything about a reader that decides where a message goes."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from notification_service.domain.channels import Channel
from notification_service.domain.kinds import Kind, Mode
from notification_service.domain.planning import Hook, Reader
from notification_service.domain.preferences import STANDARD, Preferences, QuietHours
from saras_common.jsonio import dumps

_FIND = text(
    "SELECT user_id, language, time_zone, quiet_from, quiet_to, digest_at, contacts, choices"
    " FROM preferences WHERE user_id = ANY (:ids)"
)
_HOOKS = text("SELECT user_id, id, kinds FROM webhooks WHERE user_id = ANY (:ids) AND state = 'active' ORDER BY id")
_SAVE = text("""
INSERT INTO preferences
    (user_id, language, time_zone, quiet_from, quiet_to, digest_at, contacts, choices, updated_at)
VALUES (:user_id, :language, :time_zone, :quiet_from, :quiet_to, :digest_at, CAST(:contacts AS jsonb),
    CAST(:choices AS jsonb), :now)
ON CONFLICT (user_id) DO UPDATE SET language = excluded.language, time_zone = excluded.time_zone,
    quiet_from = excluded.quiet_from, quiet_to = excluded.quiet_to, digest_at = excluded.digest_at,
    contacts = excluded.contacts, choices = excluded.choices, updated_at = excluded.updated_at
""")


def find_preferences(session: Session, user_ids: Iterable[UUID]) -> dict[UUID, Preferences]:
    """Of those users that ever chose."""
    return {row.user_id: _read(row) for row in session.execute(_FIND, {"ids": list(set(user_ids))})}


def list_readers(session: Session, user_ids: Iterable[UUID]) -> dict[UUID, Reader]:
    """Each user with wishes and active webhooks."""
    ids = list(set(user_ids))
    chosen = find_preferences(session, ids)
    hooks: dict[UUID, list[Hook]] = {}
    for user_id, hook_id, kinds in session.execute(_HOOKS, {"ids": ids}):
        hooks.setdefault(user_id, []).append(Hook(hook_id, frozenset(kinds)))
    return {user_id: Reader(user_id, chosen.get(user_id, STANDARD), hooks.get(user_id, ())) for user_id in ids}


def save_preferences(session: Session, user_id: UUID, preferences: Preferences, now: datetime) -> None:
    """Replace the user's wishes."""
    quiet = preferences.quiet
    session.execute(
        _SAVE,
        {
            "user_id": user_id,
            "language": preferences.language,
            "time_zone": preferences.time_zone,
            "quiet_from": quiet and quiet.start,
            "quiet_to": quiet and quiet.end,
            "digest_at": preferences.digest_at,
            "contacts": dumps(dict(preferences.contacts)).decode(),
            "choices": dumps({kind: dict(modes) for kind, modes in preferences.choices.items()}).decode(),
            "now": now,
        },
    )


def _read(row: Any) -> Preferences:
    return Preferences(
        language=row.language,
        time_zone=row.time_zone,
        quiet=None if row.quiet_from is None else QuietHours(row.quiet_from, row.quiet_to),
        digest_at=row.digest_at,
        contacts={Channel(channel): address for channel, address in row.contacts.items()},
        choices={
            Kind(kind): {Channel(channel): Mode(mode) for channel, mode in modes.items()}
            for kind, modes in row.choices.items()
        },
    )
