"""Smallcases and their versions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.orm import Session

_COLUMNS = (
    "s.id, s.owner_id, s.name, s.description, s.visibility, s.version, s.created_at, s.updated_at, s.deleted_at,"
    " v.weighting, v.frequency, v.drift_band, v.band_is_relative, v.cooldown_days, v.created_at AS version_at"
)
_JOINED = "FROM smallcases s JOIN versions v ON v.smallcase_id = s.id AND v.version = s.version"
_SEEN = "(s.owner_id = :user OR s.visibility = 'public')"

_GET = text(
    f"SELECT {_COLUMNS} {_JOINED} WHERE s.id = :id AND ({_SEEN}"  # noqa: S608 - our own words
    " OR EXISTS (SELECT FROM investments i WHERE i.smallcase_id = s.id AND i.user_id = :user))"
)
_LIST = text(
    f"SELECT {_COLUMNS} {_JOINED} WHERE s.deleted_at IS NULL AND {_SEEN}"  # noqa: S608 - our own words
    " AND (CAST(:q AS text) IS NULL OR s.name ILIKE :q OR s.description ILIKE :q OR EXISTS (SELECT FROM constituents c"
    "   WHERE c.smallcase_id = s.id AND c.version = s.version AND c.instrument ILIKE :q))"
    " AND (CAST(:before AS uuid) IS NULL OR s.id < :before) ORDER BY s.id DESC LIMIT :limit"
)
_BY_IDS = text(f"SELECT {_COLUMNS} {_JOINED} WHERE s.id = ANY(CAST(:ids AS uuid[]))")
_LOCK = text("SELECT version FROM smallcases WHERE id = :id AND owner_id = :user AND deleted_at IS NULL FOR UPDATE")
_ADD = text(
    "INSERT INTO smallcases (id, owner_id, name, description, visibility, version, created_at, updated_at)"
    " VALUES (:id, :owner, :name, :description, :visibility, 1, :now, :now) ON CONFLICT (id) DO NOTHING RETURNING id"
)
_CHANGE = text(
    "UPDATE smallcases SET name = :name, description = :description, visibility = :visibility, version = :version,"
    " updated_at = :now WHERE id = :id"
)
_DELETE = text("UPDATE smallcases SET deleted_at = :now, updated_at = :now WHERE id = :id")
_ADD_VERSION = text(
    "INSERT INTO versions (smallcase_id, version, weighting, frequency, drift_band, band_is_relative, cooldown_days,"
    " diff, index_level, created_at) VALUES (:id, :version, :weighting, :frequency, :band, :relative, :cooldown,"
    " CAST(:diff AS jsonb), :level, :now)"
)
_ADD_CONSTITUENTS = text(
    "INSERT INTO constituents (smallcase_id, version, instrument, position, weight, floor, cap, units)"
    " SELECT :id, :version, n.* FROM unnest(CAST(:names AS text[]), CAST(:positions AS bigint[]),"
    " CAST(:weights AS bigint[]), CAST(:floors AS bigint[]), CAST(:caps AS bigint[]), CAST(:units AS float8[])) AS n"
)
_VERSIONS = text(
    "SELECT version, weighting, frequency, drift_band, band_is_relative, cooldown_days, diff, index_level, created_at"
    " FROM versions WHERE smallcase_id = :id ORDER BY version DESC"
)
_CONSTITUENTS = text(
    "SELECT c.smallcase_id, c.version, c.instrument, c.weight, c.floor, c.cap, c.units FROM constituents c"
    " JOIN unnest(CAST(:ids AS uuid[]), CAST(:versions AS bigint[])) AS w (id, version)"
    " ON w.id = c.smallcase_id AND w.version = c.version ORDER BY c.smallcase_id, c.version, c.position"
)
_WITHOUT_INDEX = text(
    "SELECT v.smallcase_id, v.version, v.index_level FROM versions v JOIN smallcases s"
    " ON s.id = v.smallcase_id AND s.version = v.version AND s.deleted_at IS NULL"
    " WHERE EXISTS (SELECT FROM constituents c WHERE c.smallcase_id = v.smallcase_id AND c.version = v.version"
    "   AND c.units IS NULL) ORDER BY v.smallcase_id LIMIT :limit FOR UPDATE OF v SKIP LOCKED"
)
_START_INDEX = text(
    "UPDATE versions SET index_level = :level WHERE smallcase_id = :id AND version = :version AND index_level IS NULL"
)
_SET_UNITS = text(
    "UPDATE constituents c SET units = n.units FROM unnest(CAST(:names AS text[]), CAST(:units AS float8[]))"
    " AS n (instrument, units)"
    " WHERE c.smallcase_id = :id AND c.version = :version AND c.instrument = n.instrument"
)


@dataclass(frozen=True, slots=True)
class Smallcase:
    """A smallcase at its present version."""

    id: UUID
    owner_id: UUID
    name: str
    description: str | None
    visibility: str
    version: int
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    weighting: str
    frequency: str | None
    drift_band: int | None
    band_is_relative: bool
    cooldown_days: int
    version_at: datetime


@dataclass(frozen=True, slots=True)
class Constituent:
    """One share of a version; weights in parts of a million."""

    instrument: str
    weight: int
    floor: int | None
    cap: int | None
    units: float | None


@dataclass(frozen=True, slots=True)
class Terms:
    """How a version weighs and when it is rebalanced."""

    weighting: str
    frequency: str | None
    drift_band: int | None
    band_is_relative: bool
    cooldown_days: int


def find(session: Session, smallcase_id: UUID, user_id: UUID) -> Smallcase | None:
    """A smallcase the user may see: an own one, a public one, or one invested in. Deleted ones too."""
    row = session.execute(_GET, {"id": smallcase_id, "user": user_id}).one_or_none()
    return None if row is None else Smallcase(*row)


def list_page(session: Session, user_id: UUID, *, q: str | None, before: UUID | None, limit: int) -> list[Smallcase]:
    """Smallcases the user may see, newest first; ``q`` is looked for in name, description and constituents."""
    pattern = None if q is None else "%" + q.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    rows = session.execute(_LIST, {"user": user_id, "q": pattern, "before": before, "limit": limit})
    return [Smallcase(*row) for row in rows]


def list_by_ids(session: Session, ids: Iterable[UUID]) -> dict[UUID, Smallcase]:
    """Smallcases by id, whatever their state."""
    return {row.id: Smallcase(*row) for row in session.execute(_BY_IDS, {"ids": list(ids)})}


def lock_own(session: Session, smallcase_id: UUID, user_id: UUID) -> int | None:
    """The present version of a smallcase the user manages, locked; ``None`` when there is none."""
    found: int | None = session.execute(_LOCK, {"id": smallcase_id, "user": user_id}).scalar_one_or_none()
    return found


def add(session: Session, smallcase_id: UUID, owner_id: UUID, about: Mapping[str, Any], now: datetime) -> bool:
    """A smallcase at version 1; ``False`` when there is one with that id."""
    values = {"id": smallcase_id, "owner": owner_id, "now": now, **about}
    return session.execute(_ADD, values).scalar_one_or_none() is not None


def change(session: Session, smallcase_id: UUID, about: Mapping[str, Any], version: int, now: datetime) -> None:
    """Name, description, visibility and the present version."""
    session.execute(_CHANGE, {"id": smallcase_id, "version": version, "now": now, **about})


def delete(session: Session, smallcase_id: UUID, now: datetime) -> None:
    """Out of every list; its versions stay."""
    session.execute(_DELETE, {"id": smallcase_id, "now": now})


def add_version(
    session: Session,
    smallcase_id: UUID,
    version: int,
    terms: Terms,
    constituents: Sequence[Constituent],
    *,
    diff: Mapping[str, Any],
    level: float | None,
    now: datetime,
) -> None:
    """A version and its constituents."""
    key = {"id": smallcase_id, "version": version}
    session.execute(
        _ADD_VERSION,
        {
            **key,
            "weighting": terms.weighting,
            "frequency": terms.frequency,
            "band": terms.drift_band,
            "relative": terms.band_is_relative,
            "cooldown": terms.cooldown_days,
            "diff": orjson.dumps(diff).decode(),
            "level": level,
            "now": now,
        },
    )
    session.execute(
        _ADD_CONSTITUENTS,
        {
            **key,
            "names": [one.instrument for one in constituents],
            "positions": list(range(len(constituents))),
            "weights": [one.weight for one in constituents],
            "floors": [one.floor for one in constituents],
            "caps": [one.cap for one in constituents],
            "units": [one.units for one in constituents],
        },
    )


def list_versions(session: Session, smallcase_id: UUID) -> Sequence[Any]:
    """All versions, newest first."""
    return session.execute(_VERSIONS, {"id": smallcase_id}).all()


def list_constituents(
    session: Session, versions: Iterable[tuple[UUID, int]]
) -> dict[tuple[UUID, int], list[Constituent]]:
    """Constituents by (smallcase, version), in the order the manager gave them."""
    wanted = sorted(set(versions))
    rows = session.execute(
        _CONSTITUENTS, {"ids": [key for key, _ in wanted], "versions": [version for _, version in wanted]}
    )
    found: dict[tuple[UUID, int], list[Constituent]] = {}
    for row in rows:
        found.setdefault((row.smallcase_id, row.version), []).append(Constituent(*row[2:]))
    return found


def list_without_index(session: Session, limit: int) -> list[tuple[UUID, int, float | None]]:
    """Present versions whose units are not fixed yet: smallcase, version, level if it is known. Locked."""
    return [tuple(row) for row in session.execute(_WITHOUT_INDEX, {"limit": limit})]


def start_index(session: Session, smallcase_id: UUID, version: int, level: float, units: Mapping[str, float]) -> None:
    """Fix a version's units at a level."""
    key = {"id": smallcase_id, "version": version}
    session.execute(_START_INDEX, {**key, "level": level})
    session.execute(_SET_UNITS, {**key, "names": list(units), "units": list(units.values())})
