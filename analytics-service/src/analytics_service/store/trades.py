"""The trade store, what was set aside, and the positions that follow from it."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy.orm import Session

from analytics_service.domain.positions import Lot, Position
from analytics_service.domain.trades import Execution, Likeness, Rejection, Trade
from analytics_service.store.statements import columns, rows_of, run
from saras_common.db import driver

PositionKey = tuple[UUID, str, str, str]
"""User, source, instrument, product."""

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('analytics_service trades', 0))"

_ADD = """
INSERT INTO trades (source_id, part, source, user_id, order_id, instrument, product, side, kind, quantity, value_paise,
    charges, traded_at, settles_on, counterparty, sector)
SELECT source_id, part, source, user_id, order_id, instrument, product, side, kind, quantity, value_paise,
    charges::bigint[], traded_at, settles_on, counterparty, sector
FROM unnest(%b::uuid[], %b::bigint[], %b::text[], %b::uuid[], %b::uuid[], %b::text[], %b::text[], %b::text[],
    %b::text[], %b::bigint[], %b::bigint[], %b::text[], %b::timestamptz[], %b::date[], %b::text[], %b::text[])
    WITH ORDINALITY AS t (source_id, part, source, user_id, order_id, instrument, product, side, kind, quantity,
    value_paise, charges, traded_at, settles_on, counterparty, sector, n)
ORDER BY n
ON CONFLICT (source_id, part) DO NOTHING RETURNING source_id, part, seq
"""

_LIKE = """
SELECT t.user_id, t.instrument, t.side, t.quantity, t.value_paise, t.traded_at
FROM unnest(%b::uuid[], %b::timestamptz[]) AS k (user_id, traded_at)
JOIN trades t ON t.user_id = k.user_id AND t.traded_at = k.traded_at AND t.source = 'elsewhere'
"""

_REJECT = """
INSERT INTO rejected_trades (id, source_id, part, user_id, body, reason, detail, status, rejected_at)
SELECT id, source_id, part, user_id, body::jsonb, reason, detail, 'open', %b
FROM unnest(%b::uuid[], %b::uuid[], %b::bigint[], %b::uuid[], %b::text[], %b::text[], %b::text[])
    AS t (id, source_id, part, user_id, body, reason, detail)
ON CONFLICT (source_id, part) DO UPDATE SET reason = excluded.reason, detail = excluded.detail
"""

_POSITIONS = """
SELECT p.user_id, p.source, p.instrument, p.product, p.quantity, p.cost_paise, p.realised_paise,
    p.fifo_realised_paise, p.lots::text, p.bought, p.bought_paise, p.sold, p.sold_paise, p.trades, p.charges_paise,
    p.last_seq
FROM unnest(%b::uuid[], %b::text[], %b::text[], %b::text[]) AS k (user_id, source, instrument, product)
JOIN positions p ON (p.user_id, p.source, p.instrument, p.product)
    = (k.user_id, k.source COLLATE "C", k.instrument COLLATE "C", k.product COLLATE "C")
"""

_OWN_POSITIONS = """
SELECT user_id, source, instrument, product, quantity, cost_paise, realised_paise, fifo_realised_paise, lots::text,
    bought, bought_paise, sold, sold_paise, trades, charges_paise, last_seq
FROM positions WHERE user_id = %b ORDER BY source, instrument, product
"""

_SAVE = """
INSERT INTO positions (user_id, source, instrument, product, quantity, cost_paise, realised_paise,
    fifo_realised_paise, lots, bought, bought_paise, sold, sold_paise, trades, charges_paise, last_seq)
SELECT user_id, source, instrument, product, quantity, cost, realised, fifo, lots::jsonb, bought, bought_paise, sold,
    sold_paise, trades, charges, last_seq
FROM unnest(%b::uuid[], %b::text[], %b::text[], %b::text[], %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[],
    %b::text[], %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[])
    AS t (user_id, source, instrument, product, quantity, cost, realised, fifo, lots, bought, bought_paise, sold,
    sold_paise, trades, charges, last_seq)
ON CONFLICT (user_id, source, instrument, product) DO UPDATE SET quantity = excluded.quantity,
    cost_paise = excluded.cost_paise, realised_paise = excluded.realised_paise,
    fifo_realised_paise = excluded.fifo_realised_paise, lots = excluded.lots, bought = excluded.bought,
    bought_paise = excluded.bought_paise, sold = excluded.sold, sold_paise = excluded.sold_paise,
    trades = excluded.trades, charges_paise = excluded.charges_paise, last_seq = excluded.last_seq
"""

_STORED = """
SELECT seq, source_id, part, source, user_id, order_id, instrument, product, side, kind, quantity, value_paise,
    charges, traded_at, settles_on, counterparty, sector FROM trades
"""


class StoredTrade(NamedTuple):
    """A row of the store."""

    seq: int
    source_id: UUID
    part: int
    source: str
    user_id: UUID
    order_id: UUID
    instrument: str
    product: str
    side: str
    kind: str
    quantity: int
    value_paise: int
    charges: list[int]
    traded_at: datetime
    settles_on: Any
    counterparty: str
    sector: str | None

    @property
    def key(self) -> PositionKey:
        """The position it belongs to."""
        return (self.user_id, self.source, self.instrument, self.product)


class RejectedTrade(NamedTuple):
    """What was set aside."""

    id: UUID
    user_id: UUID
    body: dict[str, Any]
    reason: str
    detail: str
    status: str
    rejected_at: datetime
    corrections: dict[str, Any] | None
    replayed_at: datetime | None


def lock_store(session: Session) -> None:
    """One writer at a time: the order of ``seq`` is the order in which positions follow."""
    run(session, _LOCK)


def add_trades(session: Session, trades: Sequence[Trade]) -> dict[tuple[UUID, int], int]:
    """Store what is not there yet; its number in the store by (source id, part)."""
    rows = [
        (
            *trade.execution[:11],
            "{" + ",".join(map(str, trade.charges)) + "}",
            trade.execution.traded_at,
            trade.settles_on,
            trade.counterparty,
            trade.sector,
        )
        for trade in trades
    ]
    found = rows_of(session, _ADD, *columns(rows, 16))
    return {(source_id, part): seq for source_id, part, seq in found}


def list_likenesses(session: Session, executions: Collection[Execution]) -> set[Likeness]:
    """Likenesses in the store of trades done elsewhere by the same users at the same instants."""
    keys = sorted({(execution.user_id, execution.traded_at) for execution in executions})
    return set(rows_of(session, _LIKE, *columns(keys, 2))) if keys else set()


def add_rejections(session: Session, rejections: Sequence[Rejection], ids: Sequence[UUID], now: datetime) -> None:
    """Keep what did not pass."""
    rows = [
        (
            rejected_id,
            rejection.execution.source_id,
            rejection.execution.part,
            rejection.execution.user_id,
            orjson.dumps(body_of(rejection.execution)).decode(),
            rejection.reason.value,
            rejection.detail,
        )
        for rejection, rejected_id in zip(rejections, ids, strict=True)
    ]
    run(session, _REJECT, now, *columns(rows, 7))


def body_of(execution: Execution) -> dict[str, Any]:
    """An execution as it is kept."""
    return execution._asdict()


def execution_of(body: Mapping[str, Any]) -> Execution:
    """`body_of` back."""
    return Execution(
        **{
            **body,
            "source_id": UUID(body["source_id"]),
            "user_id": UUID(body["user_id"]),
            "order_id": UUID(body["order_id"]),
            "charges": tuple(body["charges"]),
            "traded_at": datetime.fromisoformat(body["traded_at"]),
        }
    )


def list_rejected(session: Session, status: str | None, after: UUID | None, limit: int) -> list[RejectedTrade]:
    """What was set aside, oldest first."""
    query = (
        "SELECT id, user_id, body, reason, detail, status, rejected_at, corrections, replayed_at FROM rejected_trades"
        " WHERE (%b::text IS NULL OR status = %b) AND (%b::uuid IS NULL OR id > %b) ORDER BY id LIMIT %b"
    )
    return [RejectedTrade(*row) for row in rows_of(session, query, status, status, after, after, limit)]


def find_rejected(session: Session, rejected_id: UUID) -> RejectedTrade | None:
    """One of them, locked."""
    query = (
        "SELECT id, user_id, body, reason, detail, status, rejected_at, corrections, replayed_at FROM rejected_trades"
        " WHERE id = %b FOR UPDATE"
    )
    return next((RejectedTrade(*row) for row in rows_of(session, query, rejected_id)), None)


def close_rejected(
    session: Session, rejected_id: UUID, corrections: Mapping[str, Any], by: UUID | None, now: datetime
) -> None:
    """It went into the store after all; what was changed, by whom."""
    run(
        session,
        "UPDATE rejected_trades SET status = 'replayed', corrections = %s::jsonb, replayed_at = %s, replayed_by = %s"
        " WHERE id = %s",
        orjson.dumps(dict(corrections), default=str).decode(),
        now,
        by,
        rejected_id,
    )


def load_positions(session: Session, keys: Collection[PositionKey]) -> dict[PositionKey, Position]:
    """Positions as stored; a key without one is not in the answer."""
    found = rows_of(session, _POSITIONS, *columns(list(keys), 4))
    return {tuple(row[:4]): _position(row) for row in found}


def list_positions(session: Session, user_id: UUID) -> list[tuple[PositionKey, Position]]:
    """A user's positions, also flat ones."""
    return [((row[0], row[1], row[2], row[3]), _position(row)) for row in rows_of(session, _OWN_POSITIONS, user_id)]


def save_positions(session: Session, positions: Mapping[PositionKey, Position]) -> None:
    """Write them, new or changed."""
    rows = [
        (
            *key,
            position.quantity,
            position.cost,
            position.realised,
            position.fifo_realised,
            orjson.dumps([lot.as_row() for lot in position.lots]).decode(),
            position.bought,
            position.bought_paise,
            position.sold,
            position.sold_paise,
            position.trades,
            position.charges,
            position.last_seq,
        )
        for key, position in sorted(positions.items())
    ]
    run(session, _SAVE, *columns(rows, 16))


def delete_positions(session: Session) -> None:
    """Forget every derived row; the store can make them again."""
    run(session, "DELETE FROM positions")


def stream_trades(session: Session, batch: int) -> Iterator[list[StoredTrade]]:
    """The whole store in order, some at a time."""
    with driver(session).cursor("whole_store", binary=True) as cursor:
        cursor.execute(_STORED + " ORDER BY seq")
        while rows := cursor.fetchmany(batch):
            yield [StoredTrade(*row) for row in rows]


def list_trades(session: Session, user_id: UUID, before: int, limit: int) -> list[StoredTrade]:
    """A user's trades, newest first, those with a number below ``before``."""
    query = _STORED + " WHERE user_id = %b AND seq < %b ORDER BY seq DESC LIMIT %b"
    return [StoredTrade(*row) for row in rows_of(session, query, user_id, before, limit)]


def list_trades_until(session: Session, user_ids: Sequence[UUID], until: datetime) -> list[StoredTrade]:
    """Trades of these users done before ``until``, in the order of the store."""
    query = _STORED + " WHERE user_id = ANY(%b::uuid[]) AND traded_at < %b ORDER BY seq"
    return [StoredTrade(*row) for row in rows_of(session, query, list(user_ids), until)]


def _position(row: Sequence[Any]) -> Position:
    quantity, cost, realised, fifo, lots, *rest = row[4:]
    return Position(quantity, cost, realised, fifo, [Lot(*lot) for lot in orjson.loads(lots)], *rest)
