"""Prices users wait for."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from notification_service.domain.alerts import Alert, Condition

_COLUMNS = "id, user_id, instrument, condition, price_paise, fall_bp, peak_paise, created_at, fired_at, fired_paise"
_ADD = text(
    f"INSERT INTO alerts ({_COLUMNS}) VALUES (:id, :user_id, :instrument, :condition, :price_paise, :fall_bp,"  # noqa: S608
    " :peak_paise, :created_at, :fired_at, :fired_paise)"
)
_COUNT = text("SELECT count(*) FROM alerts WHERE user_id = :user_id AND fired_at IS NULL")
_LIST = text(
    f"SELECT {_COLUMNS} FROM alerts WHERE user_id = :user_id AND (CAST(:after AS uuid) IS NULL OR id > :after)"  # noqa: S608
    " ORDER BY id LIMIT :limit"
)
_DELETE = text("DELETE FROM alerts WHERE user_id = :user_id AND id = :id RETURNING id")
_WATCHING = text(
    f"SELECT {_COLUMNS} FROM alerts WHERE fired_at IS NULL AND instrument = ANY (:instruments)"  # noqa: S608
    " ORDER BY id FOR UPDATE"
)
_SAVE = text("""
UPDATE alerts SET peak_paise = seen.peak, fired_at = seen.fired_at, fired_paise = seen.fired_paise
FROM unnest(CAST(:ids AS uuid[]), CAST(:peaks AS bigint[]), CAST(:fired AS timestamptz[]),
    CAST(:fired_paise AS bigint[])) AS seen (id, peak, fired_at, fired_paise)
WHERE alerts.id = seen.id
""")


def add(session: Session, alert: Alert) -> None:
    """A new one."""
    session.execute(_ADD, {name: getattr(alert, name) for name in Alert.__slots__})


def count_waiting(session: Session, user_id: UUID) -> int:
    """How many of the user's have not fired."""
    return int(session.execute(_COUNT, {"user_id": user_id}).scalar_one())


def list_of(session: Session, user_id: UUID, *, after: UUID | None, limit: int) -> list[Alert]:
    """The user's, oldest first, those after a given one."""
    rows = session.execute(_LIST, {"user_id": user_id, "after": after, "limit": limit})
    return [_alert(row) for row in rows]


def delete(session: Session, user_id: UUID, alert_id: UUID) -> bool:
    """Whether the user had it."""
    return session.execute(_DELETE, {"user_id": user_id, "id": alert_id}).one_or_none() is not None


def lock_watching(session: Session, instruments: Iterable[str]) -> list[Alert]:
    """Those that wait for a price of these instruments."""
    return [_alert(row) for row in session.execute(_WATCHING, {"instruments": list(instruments)})]


def save(session: Session, alerts: Sequence[Alert]) -> None:
    """Their peaks and firings."""
    session.execute(
        _SAVE,
        {
            "ids": [alert.id for alert in alerts],
            "peaks": [alert.peak_paise for alert in alerts],
            "fired": [alert.fired_at for alert in alerts],
            "fired_paise": [alert.fired_paise for alert in alerts],
        },
    )


def _alert(row: Any) -> Alert:
    return Alert(row[0], row[1], row[2], Condition(row[3]), *row[4:])
