"""Loading the part of the book a delivery touches, and writing back what changed: one statement a table."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy.orm import Session

from portfolio_service.domain.book import Note, Order, Position, ShelfKey
from portfolio_service.domain.orders import Status, follows
from portfolio_service.domain.positions import Lot
from portfolio_service.store.arrays import array, ask, columns, few_array, number_array, rows_of, run, text_array
from saras_common.charges import KINDS
from saras_common.events import OrderProgressed

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('portfolio_service postings', 0))"
_LOCK_PARTITION = """
SELECT pg_advisory_xact_lock_shared(hashtextextended('portfolio_service postings', 0)),
    pg_advisory_xact_lock(hashtextextended('portfolio_service postings of ' || %s, 0))
"""
_OWNERS = "SELECT o.id::text, o.user_id::text FROM orders o WHERE o.id = ANY(%s::uuid[])"

_ORDERS = """
SELECT o.user_id::text, o.portfolio_id::text, o.instrument, o.product, o.status,
    o.id::text, o.account_id, o.side, o.quantity, o.status_reason, o.filled_quantity, o.filled_paise,
    nullif(o.charges, '{0,0,0,0,0,0,0}'), o.hold_paise, o.hold_quantity,
    o.basket_id::text, o.batch_id::text, o.settled_block_id::text
FROM orders o WHERE o.id = ANY(%s::uuid[])
"""

_POSITIONS = """
SELECT p.user_id::text, p.portfolio_id::text, p.instrument, p.product, p.quantity, p.cost_paise, p.realised_paise,
    p.reserved, p.fifo_realised_paise, p.charges_paise, p.day, p.day_bought, p.day_bought_paise, p.day_sold,
    p.day_sold_paise
FROM orders o JOIN positions p ON (p.user_id, p.portfolio_id, p.instrument, p.product)
    = (o.user_id, o.portfolio_id, o.instrument COLLATE "C", o.product COLLATE "C")
WHERE o.id = ANY(%s::uuid[])
"""

_LOTS = """
SELECT l.order_id::text, l.user_id::text, l.portfolio_id::text, l.instrument, l.product, l.opened_at, l.quantity,
    l.remaining, l.cost_paise
FROM lots l WHERE l.order_id = ANY(%s::uuid[])
"""

_OPEN_LOTS = """
SELECT l.order_id::text, l.user_id::text, l.portfolio_id::text, l.instrument, l.product, l.opened_at, l.quantity,
    l.remaining, l.cost_paise
FROM orders o JOIN lots l ON l.is_open AND (l.user_id, l.portfolio_id, l.instrument, l.product)
    = (o.user_id, o.portfolio_id, o.instrument COLLATE "C", o.product COLLATE "C")
WHERE o.id = ANY(%s::uuid[])
"""

_SAVE_ORDERS = """
UPDATE orders o SET status = n.status, status_reason = n.status_reason, filled_quantity = n.filled_quantity,
    filled_paise = n.filled_paise, charges = n.charges::bigint[], hold_paise = n.hold_paise,
    hold_quantity = n.hold_quantity, batch_id = n.batch_id, settled_block_id = n.settled_block_id,
    timeline = CASE WHEN n.notes IS NULL THEN o.timeline ELSE o.timeline || n.notes::jsonb END,
    updated_at = %s
FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::text[], %s::bigint[], %s::bigint[],
    %s::uuid[], %s::uuid[], %s::text[])
    AS n (id, status, status_reason, filled_quantity, filled_paise, charges, hold_paise, hold_quantity, batch_id,
    settled_block_id, notes)
WHERE o.id = n.id
"""

# the row proposed for ``reserved`` is a change, never above zero here, so that the CHECK judges it rightly either way
_SAVE_POSITIONS = """
INSERT INTO positions AS p (user_id, portfolio_id, instrument, product, quantity, reserved, cost_paise,
    realised_paise, fifo_realised_paise, charges_paise, day, day_bought, day_bought_paise, day_sold, day_sold_paise)
SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[],
    %s::bigint[], %s::bigint[], %s::bigint[], %s::date[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])
ON CONFLICT (user_id, portfolio_id, instrument, product) DO UPDATE SET quantity = excluded.quantity,
    reserved = p.reserved + excluded.reserved, cost_paise = excluded.cost_paise,
    realised_paise = excluded.realised_paise, fifo_realised_paise = excluded.fifo_realised_paise,
    charges_paise = excluded.charges_paise, day = excluded.day, day_bought = excluded.day_bought,
    day_bought_paise = excluded.day_bought_paise, day_sold = excluded.day_sold, day_sold_paise = excluded.day_sold_paise
"""

_SAVE_LOTS = """
INSERT INTO lots (order_id, user_id, portfolio_id, instrument, product, opened_at, quantity, remaining, cost_paise,
    is_open)
SELECT *, n.remaining > 0 FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::timestamptz[],
    %s::bigint[], %s::bigint[], %s::bigint[])
    AS n (order_id, user_id, portfolio_id, instrument, product, opened_at, quantity, remaining, cost_paise)
ON CONFLICT (order_id) DO UPDATE SET opened_at = excluded.opened_at, quantity = excluded.quantity,
    remaining = excluded.remaining, cost_paise = excluded.cost_paise, is_open = excluded.is_open
"""

_MOVE_ORDERS = """
UPDATE orders o SET status = %s, status_reason = n.reason, batch_id = coalesce(n.batch_id, o.batch_id),
    timeline = o.timeline || n.notes::jsonb, updated_at = %s
FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::text[]) AS n (id, batch_id, reason, notes)
WHERE o.id = n.id AND o.status = ANY(%s)
"""
_TELLING = """
RETURNING o.id::text AS order_id, o.user_id::text, o.instrument, o.side, o.product, o.quantity, o.status,
    o.status_reason, o.filled_quantity, o.filled_paise AS filled_value_paise, 0 AS charges_paise,
    o.basket_id::text, o.batch_id::text
"""

_STATUSES = {status.value: status for status in Status}

Lots = dict[str, tuple[ShelfKey, Lot]]


def lock_postings(session: Session, partition: str) -> None:
    """One posting transaction at a time: only they change what is filled, held by orders, owned or in lots.

    Those of a ``partition`` share no user with those of another: one at a time of each, beside none of the whole book.
    """
    if partition:
        rows_of(session, _LOCK_PARTITION, partition)
    else:
        rows_of(session, _LOCK)


def find_owners(session: Session, order_ids: Iterable[str]) -> dict[str, str]:
    """Users by order; unknown orders are not there."""
    return dict(rows_of(session, _OWNERS, array(order_ids)))


class Asked:
    """What some orders are about, asked of the server; a pipelined session does not wait before `take`.

    Lots are asked of the orders in ``filled``, and of ``closing`` those too that are open where they lie.
    """

    def __init__(
        self, session: Session, order_ids: Collection[UUID], filled: Collection[UUID], closing: Collection[UUID]
    ) -> None:
        ids = _ids(order_ids)
        self._orders = ask(session, _ORDERS, ids)
        self._positions = ask(session, _POSITIONS, ids)
        self._lots = [ask(session, _LOTS, _ids(filled))] if filled else []
        if closing:
            self._lots.append(ask(session, _OPEN_LOTS, _ids(closing)))

    def take(self) -> "Taken":
        """Wait for the rows."""
        lots = [row for answer in self._lots for row in answer.fetchall()]
        return Taken(self._orders.fetchall(), self._positions.fetchall(), lots)


@dataclass(frozen=True, slots=True)
class Taken:
    """Rows as they came."""

    order_rows: Sequence[Any]
    position_rows: Sequence[Any]
    lot_rows: Sequence[Any]

    def orders(self) -> dict[str, Order]:
        """By id; unknown ones are not there."""
        orders = {}
        for row in self.order_rows:
            status, order_id, account_id, side, quantity, reason, filled, paise, charges, *rest = row[4:]
            orders[order_id] = Order(
                order_id, account_id, ShelfKey(*row[:4]), side, quantity, _STATUSES[status], reason, filled, paise,
                charges or [0] * len(KINDS), *rest,
            )  # fmt: skip
        return orders

    def positions(self) -> dict[ShelfKey, Position]:
        """By shelf; a shelf never used is not there."""
        return {ShelfKey(*row[:4]): Position(*row[4:]) for row in self.position_rows}

    def lots(self) -> Lots:
        """By the order that brought them in, with their shelf."""
        return {row[0]: (ShelfKey(*row[1:5]), Lot(row[0], *row[5:])) for row in self.lot_rows}


def queue_orders(session: Session, events: Sequence[OrderProgressed], now: datetime) -> int:
    """Note that orders wait in a window, without reading them first: it is the most news of all; how many moved."""
    return run(session, _MOVE_ORDERS, *_moves(events, Status.QUEUED, now)) if events else 0


def work_orders(session: Session, events: Sequence[OrderProgressed], now: datetime) -> list[dict[str, Any]]:
    """Note that orders are with the broker, in the same way; of each that moved the fields `OrderUpdated` tells.

    Nothing of them was filled before, or charged.
    """
    if not events:
        return []
    moved = ask(session, _MOVE_ORDERS + _TELLING, *_moves(events, Status.WORKING, now))
    names = [column.name for column in moved.description or ()]
    return [dict(zip(names, row, strict=True)) for row in moved.fetchall()]


def _moves(events: Sequence[OrderProgressed], wanted: Status, now: datetime) -> tuple[Any, ...]:
    rows: list[tuple[Any, ...]] = [
        (order_id, event.batch_id, event.reason, _notes([Note(event.at, wanted, event.reason)]))
        for event in events
        for order_id in event.order_ids
    ]
    ids, batches, reasons, notes = columns(rows)
    before = [status.value for status in Status if follows(status, wanted)]
    return wanted.value, now, array(ids), few_array(batches), text_array(reasons), text_array(notes), before


def save_orders(session: Session, orders: Sequence[Order], now: datetime) -> None:
    """Write back orders."""
    if not orders:
        return
    rows: list[tuple[Any, ...]] = [
        (
            order.id,
            order.status.value,
            order.status_reason,
            order.filled_quantity,
            order.filled_paise,
            "{" + ",".join(map(str, order.charges)) + "}",
            order.hold_paise,
            order.hold_quantity,
            order.batch_id,
            order.settled_block_id,
            _timeline(order),
        )
        for order in sorted(orders, key=lambda order: order.id)
    ]
    ids, statuses, reasons, quantities, values, charges, holds, units, batches, blocks, notes = columns(rows)
    run(
        session,
        _SAVE_ORDERS,
        now,
        array(ids),
        few_array(statuses),
        text_array(reasons),
        number_array(quantities),
        number_array(values),
        text_array(charges),
        number_array(holds),
        number_array(units),
        few_array(batches),
        few_array(blocks),
        text_array(notes),
    )


def save_positions(session: Session, positions: dict[ShelfKey, Position]) -> None:
    """Write back positions; what is reserved by the change, as order entry may have reserved more meanwhile."""
    rows: list[tuple[Any, ...]] = [
        (
            *shelf,
            position.quantity,
            position.reserved_change,
            position.cost,
            position.realised,
            position.fifo_realised,
            position.charges,
            position.day,
            position.day_bought,
            position.day_bought_paise,
            position.day_sold,
            position.day_sold_paise,
        )
        for shelf, position in sorted(positions.items())
        if position.changed
    ]
    if rows:
        users, portfolios, instruments, products, *numbers = columns(rows)
        run(
            session,
            _SAVE_POSITIONS,
            array(users),
            array(portfolios),
            text_array(instruments),
            few_array(products),
            *[few_array(column) for column in numbers],
        )


def save_lots(session: Session, lots: Lots, changed: Iterable[str]) -> None:
    """Write back the lots named in ``changed``."""
    rows: list[tuple[Any, ...]] = [
        (lot.id, *shelf, lot.opened_at, lot.quantity, lot.remaining, lot.cost)
        for shelf, lot in (lots[lot_id] for lot_id in sorted(changed))
    ]
    if rows:
        ids, users, portfolios, instruments, products, opened, *numbers = columns(rows)
        run(
            session,
            _SAVE_LOTS,
            array(ids),
            array(users),
            array(portfolios),
            text_array(instruments),
            few_array(products),
            few_array(opened),
            *[number_array(column) for column in numbers],
        )


def _ids(order_ids: Iterable[UUID]) -> str:
    return "{" + ",".join([order_id.hex for order_id in order_ids]) + "}"


def _timeline(order: Order) -> str | None:
    return _notes(order.notes) if order.notes else None


def _notes(notes: Sequence[Note]) -> str:
    return orjson.dumps([tuple(note) for note in notes], option=orjson.OPT_UTC_Z).decode()
