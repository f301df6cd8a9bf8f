"""Reports asked for and due, and their bytes."""

from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.orm import Session

from analytics_service.store.statements import rows_of, run

# one that was begun and not touched for long was begun by a worker that is no more
_TAKE = """
UPDATE reports SET status = 'running', progress = 0, touched_at = now() WHERE id = (
    SELECT id FROM reports WHERE status = 'queued'
        OR (status = 'running' AND touched_at < now() - make_interval(secs => %b))
    ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
) RETURNING id, owner_id, all_users, name, day, status, progress, reason, created_at, finished_at, filename
"""


class Report(NamedTuple):
    """A report and how far it is. ``progress`` in percent."""

    id: UUID
    owner_id: UUID
    all_users: bool
    name: str
    day: date
    status: str
    progress: int
    reason: str | None
    created_at: datetime
    finished_at: datetime | None
    filename: str | None


def add_report(session: Session, report: Report) -> None:
    """Queue one."""
    run(
        session,
        "INSERT INTO reports (id, owner_id, all_users, name, day, status, progress, created_at, touched_at)"
        " VALUES (%b, %b, %b, %b, %b, 'queued', 0, %b, now())",
        report.id,
        report.owner_id,
        report.all_users,
        report.name,
        report.day,
        report.created_at,
    )


def take_report(session: Session, stale_s: int) -> Report | None:
    """The oldest that waits, now running."""
    return next((Report(*row) for row in rows_of(session, _TAKE, float(stale_s))), None)


def set_progress(session: Session, report_id: UUID, progress: int) -> None:
    """How far it is."""
    run(session, "UPDATE reports SET progress = %s, touched_at = now() WHERE id = %s", progress, report_id)


def finish_report(
    session: Session, report_id: UUID, *, filename: str, media_type: str, content: bytes, now: datetime
) -> None:
    """It is there."""
    run(
        session,
        "UPDATE reports SET status = 'done', progress = 100, finished_at = %b, filename = %b, media_type = %b,"
        " content = %b WHERE id = %b",
        now,
        filename,
        media_type,
        content,
        report_id,
    )


def fail_report(session: Session, report_id: UUID, reason: str, now: datetime) -> None:
    """It could not be made."""
    run(
        session,
        "UPDATE reports SET status = 'failed', reason = %b, finished_at = %b WHERE id = %b",
        reason,
        now,
        report_id,
    )


def list_reports(
    session: Session, owner_id: UUID, *, with_all_users: bool, before: UUID | None, limit: int
) -> list[Report]:
    """One's own, newest first; an administrator's list has those about all users too."""
    query = (
        "SELECT id, owner_id, all_users, name, day, status, progress, reason, created_at, finished_at, filename"
        " FROM reports WHERE (owner_id = %b OR (%b AND all_users)) AND (%b::uuid IS NULL OR id < %b)"
        " ORDER BY id DESC LIMIT %b"
    )
    return [Report(*row) for row in rows_of(session, query, owner_id, with_all_users, before, before, limit)]


def find_report(session: Session, report_id: UUID) -> Report | None:
    """One of them."""
    query = (
        "SELECT id, owner_id, all_users, name, day, status, progress, reason, created_at, finished_at, filename"
        " FROM reports WHERE id = %b"
    )
    return next((Report(*row) for row in rows_of(session, query, report_id)), None)


def find_content(session: Session, report_id: UUID) -> tuple[str, str, bytes] | None:
    """File name, media type and bytes of one that is there."""
    query = "SELECT filename, media_type, content FROM reports WHERE id = %b AND status = 'done'"
    return next(((name, kind, content) for name, kind, content in rows_of(session, query, report_id)), None)
