"""Runs and their legs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from smallcase_service.domain.runs import ACTIVE, Kind, Leg, State

_COLUMNS = (
    "id, investment_id, user_id, smallcase_id, kind, state, reason, version, budget_paise, is_full, is_adjusted,"
    " round, attempt, is_placed, spent_paise, received_paise, unspent_paise, created_at, looked_at, ended_at,"
    " is_tried, cancel_asked_at"
)
_ACTIVE = ", ".join(f"'{state}'" for state in ACTIVE)

_ADD = text(
    f"INSERT INTO runs ({_COLUMNS}) VALUES ({', '.join(':' + name.strip() for name in _COLUMNS.split(','))})"  # noqa: S608
)
_SAVE = text(
    "UPDATE runs r SET state = n.state, reason = n.reason, is_adjusted = n.adjusted, round = n.round,"
    " attempt = n.attempt, is_placed = n.placed, spent_paise = n.spent, received_paise = n.received,"
    " unspent_paise = n.unspent, looked_at = n.looked_at, ended_at = n.ended_at, is_tried = n.tried,"
    " cancel_asked_at = n.cancel_asked_at"
    " FROM unnest(CAST(:ids AS uuid[]), CAST(:states AS text[]), CAST(:reasons AS text[]), CAST(:adjusted AS bool[]),"
    " CAST(:rounds AS bigint[]), CAST(:attempts AS bigint[]), CAST(:placed AS bool[]), CAST(:spent AS bigint[]),"
    " CAST(:received AS bigint[]), CAST(:unspent AS bigint[]), CAST(:looked AS timestamptz[]),"
    " CAST(:ended AS timestamptz[]), CAST(:tried AS bool[]), CAST(:cancels AS timestamptz[])) AS n (id, state, reason,"
    " adjusted, round, attempt, placed, spent, received, unspent, looked_at, ended_at, tried, cancel_asked_at)"
    " WHERE r.id = n.id"
)
_GET = text(f"SELECT {_COLUMNS} FROM runs WHERE id = :id AND user_id = :user")  # noqa: S608 - our own words
_LATEST = text(
    f"SELECT DISTINCT ON (investment_id) {_COLUMNS} FROM runs"  # noqa: S608 - our own words
    " WHERE investment_id = ANY(CAST(:ids AS uuid[])) ORDER BY investment_id, id DESC"
)
_HAS_ACTIVE = text(
    f"SELECT EXISTS (SELECT FROM runs WHERE investment_id = :id AND state IN ({_ACTIVE}))"  # noqa: S608 - our own words
)
_LIST = text(
    f"SELECT {_COLUMNS} FROM runs WHERE investment_id = :id AND user_id = :user"  # noqa: S608 - our own words
    " AND (CAST(:before AS uuid) IS NULL OR id < :before) ORDER BY id DESC LIMIT :limit"
)
_LOCK = text(f"SELECT {_COLUMNS} FROM runs WHERE id = ANY(CAST(:ids AS uuid[])) ORDER BY id FOR UPDATE")  # noqa: S608
_TO_PLACE = text(
    f"SELECT id FROM runs WHERE state IN ({_ACTIVE}) AND NOT is_placed AND looked_at < :before"  # noqa: S608
    " ORDER BY looked_at LIMIT :limit"
)
_TO_ADVANCE = text(
    f"SELECT r.id FROM runs r WHERE r.state IN ({_ACTIVE}) AND r.is_placed"  # noqa: S608 - our own words
    " AND NOT EXISTS (SELECT FROM legs l WHERE l.run_id = r.id AND l.round = r.round"
    "   AND l.status NOT IN ('FILLED', 'CANCELLED', 'REJECTED', 'EXPIRED')) ORDER BY r.id LIMIT :limit"
)
_TO_CANCEL = text(
    f"SELECT r.id FROM runs r WHERE r.state IN ({_ACTIVE}) AND r.cancel_asked_at IS NOT NULL"  # noqa: S608
    " AND r.is_placed AND r.looked_at < greatest(:before, r.cancel_asked_at) ORDER BY r.looked_at LIMIT :limit"
)
_CANCEL_LEGS = text("UPDATE legs SET status = 'CANCELLED' WHERE run_id = :run AND round = :round AND order_id IS NULL")
_ADD_LEGS = text(
    "INSERT INTO legs (run_id, round, instrument, investment_id, user_id, side, quantity, limit_paise, status,"
    " filled_quantity, filled_paise, charges_paise) SELECT n.run, n.round, n.name, n.investment, n.owner, n.side,"
    " n.quantity, n.capped, 'PLANNED', 0, 0, 0 FROM unnest(CAST(:runs AS uuid[]),"
    " CAST(:rounds AS bigint[]), CAST(:names AS text[]), CAST(:investments AS uuid[]), CAST(:users AS uuid[]),"
    " CAST(:sides AS text[]), CAST(:quantities AS bigint[]),"
    " CAST(:limits AS bigint[])) AS n (run, round, name, investment, owner, side, quantity, capped)"
)
_DROP_LEGS = text("DELETE FROM legs WHERE run_id = :run AND round = :round AND order_id IS NULL")
_REJECT_LEGS = text(
    "UPDATE legs SET status = 'REJECTED', status_reason = :reason"
    " WHERE run_id = :run AND round = :round AND order_id IS NULL"
)
_BEFORE = text(
    f"SELECT {_COLUMNS} FROM runs WHERE investment_id = :investment AND id < :id ORDER BY id DESC LIMIT 1"  # noqa: S608
)
_LEGS = text(
    "SELECT run_id, round, instrument, side, quantity, order_id, status, status_reason, filled_quantity,"
    " filled_paise, charges_paise, limit_paise FROM legs WHERE run_id = ANY(CAST(:ids AS uuid[]))"
    " ORDER BY run_id, round, instrument"
)
_TAKEN = text(
    "UPDATE legs l SET order_id = n.order_id, status = CASE l.status WHEN 'PLANNED' THEN n.status ELSE l.status END"
    " FROM unnest(CAST(:runs AS uuid[]), CAST(:rounds AS bigint[]), CAST(:names AS text[]), CAST(:orders AS uuid[]),"
    " CAST(:statuses AS text[])) AS n (run_id, round, instrument, order_id, status)"
    " WHERE l.run_id = n.run_id AND l.round = n.round AND l.instrument = n.instrument"
)
_TOLD_OF = text(
    "SELECT l.run_id, l.round, l.instrument, l.investment_id, l.user_id, l.side, l.order_id, l.filled_quantity,"  # noqa: S608 - our own words
    " l.told_by FROM legs l WHERE l.order_id = ANY(CAST(:orders AS uuid[]))"
    " OR (l.order_id IS NULL AND l.investment_id = ANY(CAST(:baskets AS uuid[]))"
    f" AND EXISTS (SELECT FROM runs r WHERE r.id = l.run_id AND r.round = l.round AND r.state IN ({_ACTIVE})))"
    " ORDER BY l.run_id, l.round, l.instrument FOR UPDATE"
)
_TELL = text(
    "UPDATE legs l SET order_id = n.order_id, status = n.status, status_reason = n.reason,"
    " filled_quantity = n.filled, filled_paise = n.value, charges_paise = n.charges, told_by = n.told_by,"
    " traded_on = CASE WHEN n.filled > 0 THEN coalesce(l.traded_on, n.day) END"
    " FROM unnest(CAST(:runs AS uuid[]), CAST(:rounds AS bigint[]), CAST(:names AS text[]), CAST(:orders AS uuid[]),"
    " CAST(:statuses AS text[]), CAST(:reasons AS text[]), CAST(:filled AS bigint[]), CAST(:values AS bigint[]),"
    " CAST(:charges AS bigint[]), CAST(:told AS uuid[]), CAST(:days AS date[])) AS n (run_id, round, instrument,"
    " order_id, status, reason, filled, value, charges, told_by, day)"
    " WHERE l.run_id = n.run_id AND l.round = n.round AND l.instrument = n.instrument"
)
_LATE = text(
    "UPDATE runs r SET spent_paise = m.spent, received_paise = m.received,"
    " unspent_paise = greatest(r.budget_paise + m.received - m.spent, 0)"
    " FROM (SELECT run_id,"
    "   coalesce(sum(filled_paise + charges_paise) FILTER (WHERE side = 'BUY'), 0) AS spent,"
    "   coalesce(sum(filled_paise - charges_paise) FILTER (WHERE side = 'SELL'), 0) AS received"
    "   FROM legs WHERE run_id = ANY(CAST(:ids AS uuid[])) GROUP BY run_id) AS m WHERE r.id = m.run_id"
)


@dataclass(slots=True)
class Run:
    """One run. ``budget_paise`` is what it may spend beside what it sells for.

    ``is_tried``: the book may have the orders of this round and attempt; ``is_placed``: it has.
    """

    id: UUID
    investment_id: UUID
    user_id: UUID
    smallcase_id: UUID
    kind: Kind
    state: State
    reason: str | None
    version: int
    budget_paise: int
    is_full: bool
    is_adjusted: bool
    round: int
    attempt: int
    is_placed: bool
    spent_paise: int
    received_paise: int
    unspent_paise: int
    created_at: datetime
    looked_at: datetime
    ended_at: datetime | None
    is_tried: bool = False
    cancel_asked_at: datetime | None = None

    def go_on(self, round_number: int, attempt: int = 0) -> None:
        """There are other orders to place now."""
        self.round, self.attempt, self.is_tried, self.is_placed = round_number, attempt, False, False

    @property
    def key(self) -> str:
        """What the book knows the orders being placed by."""
        return f"{self.id}:{self.round}:{self.attempt}"


@dataclass(frozen=True, slots=True)
class ToldLeg:
    """A leg as the consumer finds it."""

    run_id: UUID
    round: int
    instrument: str
    investment_id: UUID
    user_id: UUID
    side: str
    order_id: UUID | None
    filled_quantity: int
    told_by: UUID | None


@dataclass(frozen=True, slots=True)
class Told:
    """What the book now says of a leg's order."""

    leg: ToldLeg
    order_id: UUID
    status: str
    reason: str | None
    filled_quantity: int
    filled_paise: int
    charges_paise: int
    event_id: UUID
    day: date


def _run(row: Any) -> Run:
    values = list(row)
    values[4], values[5] = Kind(values[4]), State(values[5])
    return Run(*values)


def add(session: Session, run: Run) -> None:
    """A new run. A second one on the same basket meets the unique index ``runs_active``."""
    session.execute(_ADD, {name.strip(): getattr(run, name.strip()) for name in _COLUMNS.split(",")})


def save(session: Session, runs: Sequence[Run]) -> None:
    """Runs that changed."""
    session.execute(
        _SAVE,
        {
            "ids": [run.id for run in runs],
            "states": [run.state.value for run in runs],
            "reasons": [run.reason for run in runs],
            "adjusted": [run.is_adjusted for run in runs],
            "rounds": [run.round for run in runs],
            "attempts": [run.attempt for run in runs],
            "placed": [run.is_placed for run in runs],
            "spent": [run.spent_paise for run in runs],
            "received": [run.received_paise for run in runs],
            "unspent": [run.unspent_paise for run in runs],
            "looked": [run.looked_at for run in runs],
            "ended": [run.ended_at for run in runs],
            "tried": [run.is_tried for run in runs],
            "cancels": [run.cancel_asked_at for run in runs],
        },
    )


def find(session: Session, run_id: UUID, user_id: UUID) -> Run | None:
    """One of the user's runs."""
    row = session.execute(_GET, {"id": run_id, "user": user_id}).one_or_none()
    return None if row is None else _run(row)


def list_latest(session: Session, investment_ids: Iterable[UUID]) -> dict[UUID, Run]:
    """Each basket's latest run."""
    rows = session.execute(_LATEST, {"ids": list(investment_ids)})
    return {row.investment_id: _run(row) for row in rows}


def has_active(session: Session, investment_id: UUID) -> bool:
    """Whether a run on this basket is not over."""
    return bool(session.execute(_HAS_ACTIVE, {"id": investment_id}).scalar_one())


def list_page(session: Session, investment_id: UUID, user_id: UUID, *, before: UUID | None, limit: int) -> list[Run]:
    """A basket's runs, newest first."""
    values = {"id": investment_id, "user": user_id, "before": before, "limit": limit}
    return [_run(row) for row in session.execute(_LIST, values)]


def lock(session: Session, ids: Iterable[UUID]) -> list[Run]:
    """Runs, locked in the order of their ids."""
    return [_run(row) for row in session.execute(_LOCK, {"ids": sorted(ids)})]


def list_to_place(session: Session, before: datetime, limit: int) -> list[UUID]:
    """Runs whose orders are planned and not known to be in the book, left alone since ``before``."""
    return list(session.execute(_TO_PLACE, {"before": before, "limit": limit}).scalars())


def list_to_advance(session: Session, limit: int) -> list[UUID]:
    """Runs all of whose present orders have ended."""
    return list(session.execute(_TO_ADVANCE, {"limit": limit}).scalars())


def list_to_cancel(session: Session, before: datetime, limit: int) -> list[UUID]:
    """Runs in the book whose users want them cancelled, left alone since ``before``."""
    return list(session.execute(_TO_CANCEL, {"before": before, "limit": limit}).scalars())


def add_legs(session: Session, planned: Sequence[tuple[Run, Leg]]) -> None:
    """Legs of many runs."""
    session.execute(
        _ADD_LEGS,
        {
            "runs": [run.id for run, _ in planned],
            "rounds": [leg.round for _, leg in planned],
            "names": [leg.instrument for _, leg in planned],
            "investments": [run.investment_id for run, _ in planned],
            "users": [run.user_id for run, _ in planned],
            "sides": [leg.side for _, leg in planned],
            "quantities": [leg.quantity for _, leg in planned],
            "limits": [leg.limit_paise for _, leg in planned],
        },
    )


def drop_unplaced(session: Session, run: Run) -> None:
    """Forget the legs of the run's round that the book refused."""
    session.execute(_DROP_LEGS, {"run": run.id, "round": run.round})


def reject_unplaced(session: Session, run: Run, reason: str) -> None:
    """The book refused the legs of the run's round."""
    session.execute(_REJECT_LEGS, {"run": run.id, "round": run.round, "reason": reason})


def cancel_unplaced(session: Session, run: Run) -> None:
    """The legs of the run's round will not be placed."""
    session.execute(_CANCEL_LEGS, {"run": run.id, "round": run.round})


def find_before(session: Session, run: Run) -> Run | None:
    """The run before this one on the same basket."""
    row = session.execute(_BEFORE, {"investment": run.investment_id, "id": run.id}).one_or_none()
    return None if row is None else _run(row)


def list_legs(session: Session, run_ids: Iterable[UUID]) -> dict[UUID, list[Leg]]:
    """Legs by run, in order of round and instrument."""
    found: dict[UUID, list[Leg]] = {}
    for row in session.execute(_LEGS, {"ids": list(run_ids)}):
        order_id = None if row.order_id is None else str(row.order_id)
        found.setdefault(row.run_id, []).append(
            Leg(
                row.round,
                row.instrument,
                row.side,
                row.quantity,
                order_id,
                row.status,
                row.status_reason,
                row.filled_quantity,
                row.filled_paise,
                row.charges_paise,
                row.limit_paise,
            )
        )
    return found


def take(session: Session, taken: Sequence[tuple[Run, str, UUID, str]]) -> None:
    """Orders the book took: (run, instrument, order id, status). What was already told of them stays."""
    session.execute(
        _TAKEN,
        {
            "runs": [run.id for run, *_ in taken],
            "rounds": [run.round for run, *_ in taken],
            "names": [name for _, name, _, _ in taken],
            "orders": [order_id for _, _, order_id, _ in taken],
            "statuses": [status for *_, status in taken],
        },
    )


def lock_told(session: Session, orders: Iterable[UUID], baskets: Iterable[UUID]) -> list[ToldLeg]:
    """Legs with these orders, and those of these baskets whose order is not known yet, locked."""
    rows = session.execute(_TOLD_OF, {"orders": sorted(orders), "baskets": sorted(baskets)})
    return [ToldLeg(*row) for row in rows]


def tell(session: Session, told: Sequence[Told]) -> None:
    """What the book says of legs; the money of their runs follows."""
    session.execute(
        _TELL,
        {
            "runs": [one.leg.run_id for one in told],
            "rounds": [one.leg.round for one in told],
            "names": [one.leg.instrument for one in told],
            "orders": [one.order_id for one in told],
            "statuses": [one.status for one in told],
            "reasons": [one.reason for one in told],
            "filled": [one.filled_quantity for one in told],
            "values": [one.filled_paise for one in told],
            "charges": [one.charges_paise for one in told],
            "told": [one.event_id for one in told],
            "days": [one.day for one in told],
        },
    )
    session.execute(_LATE, {"ids": sorted({one.leg.run_id for one in told})})
