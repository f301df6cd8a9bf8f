"""Investments, what they hold, and the offers made to them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

_COLUMNS = "i.id, i.user_id, i.smallcase_id, i.version, i.repair_budget, i.rebalanced_at, i.created_at"

_ADD = text(
    "INSERT INTO investments (id, user_id, smallcase_id, version, rebalanced_at, created_at)"
    " VALUES (:id, :user, :smallcase, :version, :now, :now) ON CONFLICT (user_id, smallcase_id) DO NOTHING"
)
_LOCK_OWN = text(
    f"SELECT {_COLUMNS} FROM investments i"  # noqa: S608 - our own words
    " WHERE i.user_id = :user AND i.smallcase_id = :smallcase FOR UPDATE"
)
_LOCK = text(
    f"SELECT {_COLUMNS} FROM investments i WHERE i.id = ANY(CAST(:ids AS uuid[])) ORDER BY i.id FOR UPDATE"  # noqa: S608
)
_GET = text(f"SELECT {_COLUMNS} FROM investments i WHERE i.id = :id AND i.user_id = :user")  # noqa: S608 - our own words
_LIST = text(
    f"SELECT {_COLUMNS} FROM investments i WHERE i.user_id = :user"  # noqa: S608 - our own words
    " AND (CAST(:before AS uuid) IS NULL OR i.id < :before)"
    " AND (EXISTS (SELECT FROM legs l WHERE l.investment_id = i.id AND l.filled_quantity > 0)"
    "   OR EXISTS (SELECT FROM runs r WHERE r.investment_id = i.id AND r.state IN ('QUEUED', 'SELLING', 'BUYING')))"
    " ORDER BY i.id DESC LIMIT :limit"
)
_HELD = text(
    f"SELECT {_COLUMNS} FROM investments i WHERE (CAST(:smallcase AS uuid) IS NULL OR i.smallcase_id = :smallcase)"  # noqa: S608
    " AND (CAST(:after AS uuid) IS NULL OR i.id > :after)"
    " AND EXISTS (SELECT FROM holdings h WHERE h.investment_id = i.id AND h.quantity > 0)"
    " AND NOT (:idle AND EXISTS (SELECT FROM runs r WHERE r.investment_id = i.id"
    "   AND r.state IN ('QUEUED', 'SELLING', 'BUYING')))"
    " ORDER BY i.id LIMIT :limit"
)
_TO_REPAIR = text(
    f"SELECT {_COLUMNS} FROM investments i"  # noqa: S608 - our own words
    " JOIN LATERAL (SELECT r.id, r.kind, r.state FROM runs r WHERE r.investment_id = i.id ORDER BY r.id DESC LIMIT 1)"
    "   AS last ON last.state = 'COMPLETED_ADJUSTED' AND last.kind <> 'repair'"
    " WHERE i.repair_budget IS NOT NULL"
    " AND EXISTS (SELECT FROM legs l WHERE l.run_id = last.id AND l.filled_quantity < l.quantity)"
    " ORDER BY i.id LIMIT :limit"
)
_FOLLOW = text("UPDATE investments SET version = :version, rebalanced_at = :now WHERE id = :id")
_BUDGET = text("UPDATE investments SET repair_budget = :budget WHERE id = :id AND user_id = :user")
_HOLDINGS = text(
    "SELECT investment_id, instrument, quantity FROM holdings"
    " WHERE investment_id = ANY(CAST(:ids AS uuid[])) AND quantity > 0 ORDER BY investment_id, instrument"
)
_MOVE = text(
    "INSERT INTO holdings AS h (investment_id, instrument, user_id, quantity)"
    " SELECT n.investment, n.instrument, n.owner, greatest(n.quantity, 0)"
    " FROM unnest(CAST(:ids AS uuid[]), CAST(:names AS text[]), CAST(:users AS uuid[]), CAST(:moves AS bigint[]))"
    " AS n (investment, instrument, owner, quantity)"
    " ON CONFLICT (investment_id, instrument) DO NOTHING RETURNING investment_id, instrument"
)
_MOVE_KNOWN = text(
    "UPDATE holdings h SET quantity = greatest(h.quantity + n.quantity, 0)"
    " FROM unnest(CAST(:ids AS uuid[]), CAST(:names AS text[]), CAST(:moves AS bigint[]))"
    " AS n (investment, instrument, quantity)"
    " WHERE h.investment_id = n.investment AND h.instrument = n.instrument"
)
_OFFER = text(
    "INSERT INTO offers AS o (investment_id, user_id, cause, version, drift, offered_at)"
    " SELECT n.*, CAST(:now AS timestamptz) FROM unnest(CAST(:ids AS uuid[]), CAST(:users AS uuid[]),"
    " CAST(:causes AS text[]), CAST(:versions AS bigint[]), CAST(:drifts AS bigint[])) AS n"
    " ON CONFLICT (investment_id) DO UPDATE SET cause = excluded.cause, version = excluded.version,"
    " drift = excluded.drift, offered_at = excluded.offered_at, taken_at = NULL"
)
_OFFERS = text(
    "SELECT investment_id, cause, version, drift, offered_at, taken_at FROM offers"
    " WHERE investment_id = ANY(CAST(:ids AS uuid[]))"
)
_TAKE_OFFER = text("UPDATE offers SET taken_at = :now WHERE investment_id = :id AND taken_at IS NULL")
_OF_USER = text(
    "SELECT h.investment_id, h.instrument, h.quantity FROM holdings h JOIN investments i ON i.id = h.investment_id"
    " WHERE h.user_id = :user AND h.instrument = ANY(CAST(:names AS text[])) AND h.quantity > 0"
    " ORDER BY i.created_at DESC, i.id DESC FOR UPDATE OF h"
)
_SET = text("UPDATE holdings SET quantity = :quantity WHERE investment_id = :id AND instrument = :name")
_FLOWS = text(
    "SELECT investment_id, traded_on,"
    " sum(CASE side WHEN 'BUY' THEN -filled_paise - charges_paise ELSE filled_paise - charges_paise END) AS amount"
    " FROM legs WHERE investment_id = ANY(CAST(:ids AS uuid[])) AND filled_quantity > 0 AND traded_on IS NOT NULL"
    " GROUP BY investment_id, traded_on ORDER BY investment_id, traded_on"
)


@dataclass(frozen=True, slots=True)
class Investment:
    """One user's basket. ``repair_budget``: tracking error, in parts of a million, up to which it repairs itself."""

    id: UUID
    user_id: UUID
    smallcase_id: UUID
    version: int
    repair_budget: int | None
    rebalanced_at: datetime
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Offer:
    """A rebalance offered; ``taken_at`` once the user agreed."""

    cause: str
    version: int
    drift: int
    offered_at: datetime
    taken_at: datetime | None


@dataclass(frozen=True, slots=True)
class Move:
    """Shares that came into (> 0) or went out of a basket."""

    investment_id: UUID
    user_id: UUID
    instrument: str
    quantity: int


def open_for(
    session: Session, user_id: UUID, smallcase_id: UUID, version: int, new_id: UUID, now: datetime
) -> Investment:
    """The user's basket of a smallcase, made if need be, and locked."""
    session.execute(_ADD, {"id": new_id, "user": user_id, "smallcase": smallcase_id, "version": version, "now": now})
    found = lock_own(session, user_id, smallcase_id)
    assert found is not None  # noqa: S101 - it was just made
    return found


def lock_own(session: Session, user_id: UUID, smallcase_id: UUID) -> Investment | None:
    """The user's basket of a smallcase, locked."""
    row = session.execute(_LOCK_OWN, {"user": user_id, "smallcase": smallcase_id}).one_or_none()
    return None if row is None else Investment(*row)


def lock(session: Session, ids: Iterable[UUID]) -> dict[UUID, Investment]:
    """Baskets by id, locked in the order of their ids."""
    return {row.id: Investment(*row) for row in session.execute(_LOCK, {"ids": sorted(ids)})}


def find(session: Session, investment_id: UUID, user_id: UUID) -> Investment | None:
    """One of the user's baskets."""
    row = session.execute(_GET, {"id": investment_id, "user": user_id}).one_or_none()
    return None if row is None else Investment(*row)


def list_page(session: Session, user_id: UUID, *, before: UUID | None, limit: int) -> list[Investment]:
    """The user's baskets, newest first."""
    rows = session.execute(_LIST, {"user": user_id, "before": before, "limit": limit})
    return [Investment(*row) for row in rows]


def list_held(
    session: Session, *, smallcase_id: UUID | None, after: UUID | None, limit: int, only_idle: bool = False
) -> list[Investment]:
    """Baskets with shares in them, by id; all of one smallcase, or all; without those being traded if ``only_idle``.

    Needs the service's scope.
    """
    values = {"smallcase": smallcase_id, "after": after, "limit": limit, "idle": only_idle}
    return [Investment(*row) for row in session.execute(_HELD, values)]


def list_to_repair(session: Session, limit: int) -> list[Investment]:
    """Baskets whose users allow repairs and whose last run was not wholly filled. Needs the service's scope."""
    return [Investment(*row) for row in session.execute(_TO_REPAIR, {"limit": limit})]


def follow(session: Session, investment_id: UUID, version: int, now: datetime) -> None:
    """The basket now follows this version, rebalanced ``now``."""
    session.execute(_FOLLOW, {"id": investment_id, "version": version, "now": now})


def set_repair_budget(session: Session, investment_id: UUID, user_id: UUID, budget: int | None) -> None:
    """Up to which tracking error the basket repairs itself."""
    session.execute(_BUDGET, {"id": investment_id, "user": user_id, "budget": budget})


def list_holdings(session: Session, ids: Iterable[UUID]) -> dict[UUID, dict[str, int]]:
    """Shares by basket and instrument."""
    found: dict[UUID, dict[str, int]] = {}
    for row in session.execute(_HOLDINGS, {"ids": list(ids)}):
        found.setdefault(row.investment_id, {})[row.instrument] = row.quantity
    return found


def move(session: Session, moves: Sequence[Move]) -> None:
    """Shares in and out of baskets, net by basket and instrument."""
    net: dict[tuple[UUID, str], tuple[UUID, int]] = {}
    for one in moves:
        key = (one.investment_id, one.instrument)
        net[key] = (one.user_id, net.get(key, (one.user_id, 0))[1] + one.quantity)
    keys = sorted(key for key, (_, quantity) in net.items() if quantity)
    if not keys:
        return
    columns = {
        "ids": [key[0] for key in keys],
        "names": [key[1] for key in keys],
        "users": [net[key][0] for key in keys],
        "moves": [net[key][1] for key in keys],
    }
    added = {tuple(row) for row in session.execute(_MOVE, columns)}
    known = [key for key in keys if key not in added]
    session.execute(
        _MOVE_KNOWN,
        {
            "ids": [key[0] for key in known],
            "names": [key[1] for key in known],
            "moves": [net[key][1] for key in known],
        },
    )


def put_offers(session: Session, offers: Sequence[tuple[Investment, str, int, int]], now: datetime) -> None:
    """Offers of (basket, cause, version, drift); each replaces the basket's last."""
    session.execute(
        _OFFER,
        {
            "now": now,
            "ids": [one.id for one, *_ in offers],
            "users": [one.user_id for one, *_ in offers],
            "causes": [cause for _, cause, _, _ in offers],
            "versions": [version for _, _, version, _ in offers],
            "drifts": [drift for *_, drift in offers],
        },
    )


def list_offers(session: Session, ids: Iterable[UUID]) -> dict[UUID, Offer]:
    """The latest offer of each basket, taken or not."""
    rows = session.execute(_OFFERS, {"ids": list(ids)})
    return {row.investment_id: Offer(*row[1:]) for row in rows}


def take_offer(session: Session, investment_id: UUID, now: datetime) -> None:
    """The user agreed."""
    session.execute(_TAKE_OFFER, {"id": investment_id, "now": now})


def trim(session: Session, user_id: UUID, names: Iterable[str], free: Mapping[str, int]) -> bool:
    """Take out of the user's baskets, newest first, what the user holds no more; whether anything was."""
    rows = session.execute(_OF_USER, {"user": user_id, "names": sorted(names)}).all()
    over: dict[str, int] = {}
    for row in rows:
        over[row.instrument] = over.get(row.instrument, -free.get(row.instrument, 0)) + row.quantity
    was_cut = False
    for row in rows:
        cut = min(max(over[row.instrument], 0), row.quantity)
        if cut:
            over[row.instrument] -= cut
            session.execute(_SET, {"id": row.investment_id, "name": row.instrument, "quantity": row.quantity - cut})
            was_cut = True
    return was_cut


def list_flows(session: Session, ids: Iterable[UUID]) -> dict[UUID, list[tuple[date, int]]]:
    """Cash by basket and day: < 0 paid for shares, > 0 received, charges included."""
    found: dict[UUID, list[tuple[date, int]]] = {}
    for row in session.execute(_FLOWS, {"ids": list(ids)}):
        found.setdefault(row.investment_id, []).append((row.traded_on, int(row.amount)))
    return found
