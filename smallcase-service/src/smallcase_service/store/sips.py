"""Regular investments and what became of each instalment."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

_COLUMNS = "id, user_id, smallcase_id, amount_paise, frequency, start_on, number, session_on, created_at, ended_at"

_ADD = text(
    f"INSERT INTO sips ({_COLUMNS}) VALUES ({', '.join(':' + name.strip() for name in _COLUMNS.split(','))})"  # noqa: S608
)
_GET = text(f"SELECT {_COLUMNS} FROM sips WHERE id = :id AND user_id = :user")  # noqa: S608 - our own words
_LIST = text(
    f"SELECT {_COLUMNS} FROM sips WHERE user_id = :user AND (CAST(:before AS uuid) IS NULL OR id < :before)"  # noqa: S608
    " ORDER BY id DESC LIMIT :limit"
)
_DUE = text(
    f"SELECT {_COLUMNS} FROM sips WHERE ended_at IS NULL AND session_on <= :today ORDER BY id"  # noqa: S608 - our own words
    " LIMIT :limit FOR UPDATE SKIP LOCKED"
)
_NEXT = text("UPDATE sips SET number = :number, session_on = :session_on WHERE id = :id")
_END = text("UPDATE sips SET ended_at = coalesce(ended_at, :now) WHERE id = :id AND user_id = :user")
_INSTALMENT = text(
    "INSERT INTO instalments (sip_id, due_on, user_id, status, run_id, reason, at)"
    " VALUES (:sip, :due, :user, :status, :run, :reason, :now) ON CONFLICT (sip_id, due_on) DO NOTHING"
)
_OF_RUNS = text(
    f"SELECT {', '.join('s.' + name.strip() for name in _COLUMNS.split(','))}, n.due_on, n.run_id"  # noqa: S608
    " FROM instalments n JOIN sips s ON s.id = n.sip_id WHERE n.run_id = ANY(CAST(:runs AS uuid[]))"
)
_SKIP = text("UPDATE instalments SET status = 'skipped', reason = :reason WHERE sip_id = :sip AND due_on = :due")
_INSTALMENTS = text(
    "SELECT sip_id, due_on, status, run_id, reason, at FROM instalments"
    " WHERE sip_id = ANY(CAST(:ids AS uuid[])) ORDER BY sip_id, due_on DESC"
)


@dataclass(frozen=True, slots=True)
class Sip:
    """A regular investment; instalment ``number`` is the next, made in the session of ``session_on``."""

    id: UUID
    user_id: UUID
    smallcase_id: UUID
    amount_paise: int
    frequency: str
    start_on: date
    number: int
    session_on: date
    created_at: datetime
    ended_at: datetime | None


def add(session: Session, sip: Sip) -> None:
    """A new one."""
    session.execute(_ADD, {name.strip(): getattr(sip, name.strip()) for name in _COLUMNS.split(",")})


def find(session: Session, sip_id: UUID, user_id: UUID) -> Sip | None:
    """One of the user's."""
    row = session.execute(_GET, {"id": sip_id, "user": user_id}).one_or_none()
    return None if row is None else Sip(*row)


def list_page(session: Session, user_id: UUID, *, before: UUID | None, limit: int) -> list[Sip]:
    """The user's, newest first, ended ones too."""
    return [Sip(*row) for row in session.execute(_LIST, {"user": user_id, "before": before, "limit": limit})]


def take_due(session: Session, today: date, limit: int) -> list[Sip]:
    """Those with an instalment due by ``today``, locked."""
    return [Sip(*row) for row in session.execute(_DUE, {"today": today, "limit": limit})]


def advance(session: Session, sip_id: UUID, number: int, session_on: date) -> None:
    """The next instalment."""
    session.execute(_NEXT, {"id": sip_id, "number": number, "session_on": session_on})


def end(session: Session, sip_id: UUID, user_id: UUID, now: datetime) -> None:
    """No more instalments."""
    session.execute(_END, {"id": sip_id, "user": user_id, "now": now})


def note(session: Session, sip: Sip, due_on: date, *, run_id: UUID | None, reason: str | None, now: datetime) -> None:
    """What became of an instalment: a run, or a reason why there is none."""
    status = "invested" if run_id is not None else "skipped"
    session.execute(
        _INSTALMENT,
        {
            "sip": sip.id,
            "due": due_on,
            "user": sip.user_id,
            "status": status,
            "run": run_id,
            "reason": reason,
            "now": now,
        },
    )


def list_instalments(session: Session, ids: Iterable[UUID]) -> dict[UUID, list[Any]]:
    """Instalments by SIP, newest first: rows of due_on, status, run_id, reason, at."""
    found: dict[UUID, list[Any]] = {}
    rows: Sequence[Any] = session.execute(_INSTALMENTS, {"ids": list(ids)}).all()
    for row in rows:
        found.setdefault(row.sip_id, []).append(row)
    return found


def list_of_runs(session: Session, run_ids: Iterable[UUID]) -> list[tuple[Sip, date, UUID]]:
    """The instalments these runs were started for."""
    rows = session.execute(_OF_RUNS, {"runs": list(run_ids)})
    return [(Sip(*row[:-2]), row.due_on, row.run_id) for row in rows]


def skip(session: Session, sip_id: UUID, due_on: date, reason: str) -> None:
    """The instalment's run came to nothing, and why."""
    session.execute(_SKIP, {"sip": sip_id, "due": due_on, "reason": reason})
