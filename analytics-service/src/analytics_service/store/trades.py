"""The trade store, what was set aside, and the positions that follow from it."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy.orm import Session

from analytics_service.domain.positions import Lot, Position
from analytics_service.domain.trades import Enriched, Execution, Likeness, Rejection
from analytics_service.store.statements import array, columns, id_array, rows_of, run
from saras_common.db import driver

PositionKey = tuple[UUID, str, str, str]
"""User, source, instrument, product."""

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('analytics_service trades', 0))"

# what a posting has in common is sent once, and looked up by its place
_ADD = """
INSERT INTO trades (source_id, part, source, user_id, order_id, instrument, product, side, kind, quantity, value_paise,
    charges, traded_at, settles_on, counterparty, sector)
SELECT (%b::uuid[])[t.posting], t.part, (%b::text[])[t.posting], t.user_id, t.order_id, (%b::text[])[t.posting],
    (%b::text[])[t.posting], (%b::text[])[t.posting], (%b::text[])[t.posting], t.quantity, t.value_paise,
    t.charges::bigint[], (%b::timestamptz[])[t.posting], (%b::date[])[t.posting], (%b::text[])[t.posting],
    (%b::text[])[t.posting]
FROM unnest(%s::int[], %s::bigint[], %s::uuid[], %s::uuid[], %s::bigint[], %s::bigint[], %s::text[])
    WITH ORDINALITY AS t (posting, part, user_id, order_id, quantity, value_paise, charges, n)
ORDER BY t.n ON CONFLICT (source_id, part) DO NOTHING RETURNING seq
"""

_NUMBERED = "SELECT source_id, part, seq FROM trades WHERE seq = ANY(%b::bigint[])"

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

_ON_KEY = """
    ON p.user_id = k.user_id AND p.source = (%b::text[])[k.shelf] COLLATE "C"
    AND p.instrument = (%b::text[])[k.shelf] COLLATE "C" AND p.product = (%b::text[])[k.shelf] COLLATE "C"
"""

_POSITIONS = (
    """
SELECT k.n, p.quantity, p.cost_paise, p.realised_paise, p.fifo_realised_paise, p.lots::text, p.bought, p.bought_paise,
    p.sold, p.sold_paise, p.trades, p.charges_paise, p.last_seq
FROM unnest(%s::uuid[], %s::int[]) WITH ORDINALITY AS k (user_id, shelf, n) JOIN positions p
"""
    + _ON_KEY
)

_OWN_POSITIONS = """
SELECT user_id, source, instrument, product, quantity, cost_paise, realised_paise, fifo_realised_paise, lots::text,
    bought, bought_paise, sold, sold_paise, trades, charges_paise, last_seq
FROM positions WHERE user_id = %b ORDER BY source, instrument, product
"""

_FIGURES = """
FROM ROWS FROM (unnest(%s::uuid[], %s::int[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[],
    %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[]),
    jsonb_array_elements(%s::jsonb)) AS k (user_id, shelf, quantity, cost_paise, realised_paise, fifo_realised_paise,
    bought, bought_paise, sold, sold_paise, trades, charges_paise, last_seq, lots)
"""

_OPEN = (
    """
INSERT INTO positions (user_id, source, instrument, product, quantity, cost_paise, realised_paise,
    fifo_realised_paise, bought, bought_paise, sold, sold_paise, trades, charges_paise, last_seq, lots)
SELECT k.user_id, (%b::text[])[k.shelf], (%b::text[])[k.shelf], (%b::text[])[k.shelf], k.quantity, k.cost_paise,
    k.realised_paise, k.fifo_realised_paise, k.bought, k.bought_paise, k.sold, k.sold_paise, k.trades,
    k.charges_paise, k.last_seq, k.lots
"""
    + _FIGURES
)

_MOVE = (
    """
UPDATE positions p SET quantity = k.quantity, cost_paise = k.cost_paise, realised_paise = k.realised_paise,
    fifo_realised_paise = k.fifo_realised_paise, bought = k.bought, bought_paise = k.bought_paise, sold = k.sold,
    sold_paise = k.sold_paise, trades = k.trades, charges_paise = k.charges_paise, last_seq = k.last_seq, lots = k.lots
"""
    + _FIGURES
    + _ON_KEY.replace("ON", "WHERE", 1)
)

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


def add_trades(session: Session, postings: Sequence[Enriched]) -> list[list[int | None]]:
    """Store what is not there yet; the numbers in the store posting by posting, ``None`` for what was there."""
    shared = columns(
        [
            (
                one.posting.source_id, one.posting.source, one.posting.instrument, one.posting.product,
                one.posting.side, one.posting.kind, one.posting.traded_at, one.settles_on, one.counterparty, one.sector,
            )
            for one in postings
        ],
        10,
    )  # fmt: skip
    parts = [one.posting for one in postings]
    own = (
        array([number for number, part in enumerate(parts, 1) for _ in part.parts]),
        array(chain.from_iterable(part.parts for part in parts)),
        id_array(chain.from_iterable(part.user_ids for part in parts)),
        id_array(chain.from_iterable(part.order_ids for part in parts)),
        array(chain.from_iterable(part.quantities for part in parts)),
        array(chain.from_iterable(part.values_paise for part in parts)),
        "{" + ",".join([f'"{array(charges)}"' for part in parts for charges in part.charges]) + "}",
    )
    numbers = [seq for (seq,) in rows_of(session, _ADD, *shared, *own)]
    if len(numbers) == sum(len(part.parts) for part in parts):
        left = iter(numbers)
        return [[next(left) for _ in part.parts] for part in parts]
    known = {(source_id, part): seq for source_id, part, seq in rows_of(session, _NUMBERED, numbers)}
    return [[known.get((part.source_id, number)) for number in part.parts] for part in parts]


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


def load_positions(session: Session, keys: Sequence[PositionKey]) -> dict[PositionKey, Position]:
    """Positions as stored; a key without one is not in the answer."""
    shelves, places = _shelved(keys)
    found = rows_of(session, _POSITIONS, id_array(key[0] for key in keys), array(places), *shelves)
    return {keys[row[0] - 1]: _position(row[1:]) for row in found}


def list_positions(session: Session, user_id: UUID) -> list[tuple[PositionKey, Position]]:
    """A user's positions, also flat ones."""
    return [((row[0], row[1], row[2], row[3]), _position(row[4:])) for row in rows_of(session, _OWN_POSITIONS, user_id)]


def save_positions(session: Session, positions: Mapping[PositionKey, Position], known: Collection[PositionKey]) -> None:
    """Write them; ``known`` are those that were in the store, all the others are new."""
    ordered = sorted(positions, key=lambda key: key[0].int)
    new = [key for key in ordered if key not in known]
    if new:
        shelves, figures = _figures(new, positions)
        run(session, _OPEN, *shelves, *figures)
    changed = [key for key in ordered if key in known]
    if changed:
        shelves, figures = _figures(changed, positions)
        run(session, _MOVE, *figures, *shelves)


def _figures(
    keys: Sequence[PositionKey], positions: Mapping[PositionKey, Position]
) -> tuple[list[list[str]], list[str]]:
    shelves, places = _shelved(keys)
    rows = [positions[key] for key in keys]
    numbers = (
        [row.quantity for row in rows], [row.cost for row in rows], [row.realised for row in rows],
        [row.fifo_realised for row in rows], [row.bought for row in rows], [row.bought_paise for row in rows],
        [row.sold for row in rows], [row.sold_paise for row in rows], [row.trades for row in rows],
        [row.charges for row in rows], [row.last_seq for row in rows],
    )  # fmt: skip
    lots = orjson.dumps([[lot.as_row() for lot in row.lots] for row in rows]).decode()
    return shelves, [id_array(key[0] for key in keys), array(places), *map(array, numbers), lots]


def _shelved(keys: Iterable[PositionKey]) -> tuple[list[list[str]], list[int]]:
    """Source, instrument and product of each kind of position there is, and which (from 1) each key's is."""
    places: dict[tuple[str, ...], int] = {}
    found = [places.setdefault(key[1:], len(places) + 1) for key in keys]
    return columns(list(places), 3), found


def list_traders(session: Session) -> list[UUID]:
    """Everybody with a position, open or flat."""
    return [user_id for (user_id,) in rows_of(session, "SELECT DISTINCT user_id FROM positions")]


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
    quantity, cost, realised, fifo, lots, *rest = row
    return Position(quantity, cost, realised, fifo, [Lot(*lot) for lot in orjson.loads(lots)], *rest)
