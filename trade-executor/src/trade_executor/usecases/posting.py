"""Sharing fills out and ending blocks: where the book is told, and where an order's way ends."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Literal
from uuid import UUID

import numpy as np
import numpy.typing as npt

from saras_common.charges import DP_CHARGE_PAISE, KINDS, has_dp_charge, order_charges
from saras_common.clock import trading_day
from saras_common.events import MAX_EVENTS_A_MESSAGE, AllocationPosted, OrderProgressed
from saras_common.ids import new_id
from trade_executor.core import certificates
from trade_executor.core.blocks import BEYOND_HOLD
from trade_executor.core.book import FROZEN, REFUSED, TOLD, Statement
from trade_executor.core.posting import (
    Posted,
    Shared,
    credits_after,
    post_average,
    post_exactly,
    share_fills,
    unfilled,
)
from trade_executor.domain import (
    NO_CHARGES,
    BatchState,
    Block,
    BlockState,
    BrokerOrder,
    Fill,
    Intent,
    IntentState,
    OrderEnd,
)
from trade_executor.store import Book, Store
from trade_executor.usecases.control import block_buys

Kind = Literal["fill", "true_up", "bust"]
Ended = Literal["CANCELLED", "REJECTED", "EXPIRED"]

CANCELLED_BY_USER = "cancelled by the user"
CANCELLED_AT_BROKER = "cancelled at the broker"
NOT_FILLED_AT_ONCE = "immediate or cancel: not filled at once"
DAY_ENDED = "the trading day ended"
OVER_LIMIT = "over the limit of all orders together"


def take_fills(store: Store, book: Book, fills: Sequence[Fill], *, now: datetime) -> Book:
    """Take in trades of one block: count each once, share out what is new, end the block if that was the last of it.

    Returns the block as it stands afterwards. ``fills`` are of broker orders of this block.
    """
    fresh = store.add_fills(fills)
    if not fresh:
        return end_if_over(store, book, now=now)
    quantity = sum(fill.quantity for fill in fresh)
    value = sum(fill.value_paise for fill in fresh)
    orders = _count_traded(store, book.block.id, fresh)
    first_on = book.block.first_fill_on or min(fill.traded_on for fill in fresh)
    block = replace(book.block, first_fill_on=first_on)
    charges = _charges(store, block, orders, first_on)
    shared = share_fills(block, book.statement, book.shares, quantity, value, charges)
    traded_at = max(fill.traded_at for fill in fresh)
    if quantity > 0 and is_over(store.list_intents(block.id), orders):
        return _end(store, book, shared, orders, traded_at, now)
    posted = post_average(shared, book.shares)
    _tell(store, "fill" if quantity > 0 else "bust", book.statement, posted, traded_at, now)
    store.save_block(posted.block)
    store.save_shares(block.id, posted.shares)
    return replace(book, block=posted.block, shares=posted.shares)


def _count_traded(store: Store, block_id: UUID, fresh: Sequence[Fill]) -> list[BrokerOrder]:
    orders = {order.broker_order_id: order for order in store.list_broker_orders(block_id)}
    for fill in fresh:
        order = orders[fill.broker_order_id]
        order = replace(
            order,
            traded=order.traded + fill.quantity,
            traded_value_paise=order.traded_value_paise + fill.value_paise,
        )
        if order.end is None and order.traded == order.quantity:
            order = replace(order, end=OrderEnd.COMPLETE, filled=order.traded)
        orders[fill.broker_order_id] = order
    for name in {fill.broker_order_id for fill in fresh}:
        store.save_broker_order(orders[name])
    return list(orders.values())


def _charges(store: Store, block: Block, orders: Iterable[BrokerOrder], day: date) -> tuple[int, ...]:
    """The block's cumulative charges: each broker order's own, and the depository's fee if this block carries it."""
    key = block.key
    exchange = key.instrument.partition(":")[0]
    total = np.array(NO_CHARGES)
    for order in orders:
        if order.traded_value_paise:
            charged = order_charges(exchange, key.product, key.side, order.traded_value_paise, day)
            total += np.array(charged.as_tuple())
    if has_dp_charge(key.product, key.side) and store.claim_dp(block.account_id, key.instrument, day, block.id):
        total[KINDS.index("dp")] += DP_CHARGE_PAISE
    return tuple(total.tolist())


def is_over(intents: Sequence[Intent], orders: Sequence[BrokerOrder]) -> bool:
    """Nothing of the block can fill any more, and every fill reported has been taken in."""
    waiting = any(intent.state is IntentState.PLANNED or intent.state.is_in_doubt for intent in intents)
    known = {order.intent_id for order in orders}
    placed = all(intent.id in known for intent in intents if intent.state.is_placed)
    return not waiting and placed and all(order.is_settled for order in orders)


def end_if_over(store: Store, book: Book, *, now: datetime) -> Book:
    """End a block whose broker orders have all ended; the block as it stands afterwards."""
    if book.block.state is BlockState.DONE:
        return book
    orders = store.list_broker_orders(book.block.id)
    if not is_over(store.list_intents(book.block.id), orders):
        return book
    shared = Shared(book.block, book.shares.allocated, book.block.suspense_quantity)
    return _end(store, book, shared, orders, now, now)


def _end(
    store: Store, book: Book, shared: Shared, orders: Sequence[BrokerOrder], traded_at: datetime, now: datetime
) -> Book:
    """True up (with the last fills, when they are not told yet), carry credits, tell how each order ended, certify."""
    block = shared.block
    if block.filled:
        posted = post_exactly(shared, book.shares)
        _tell(store, "true_up", book.statement, posted, traded_at, now)
        book = replace(book, block=posted.block, shares=posted.shares)
        today = block.first_fill_on or trading_day(now)
        owed = credits_after(book.statement, book.shares, today)
        store.save_credits(block.account_id, block.key.instrument, owed)
    intents = store.list_intents(block.id)
    shares = book.shares
    for event, rows in _ends(book, intents, orders, now):
        store.emit([event])
        shares = shares.flagged(rows, TOLD)
    done = replace(book.block, state=BlockState.DONE, reason=_reason(intents, orders))
    book = replace(book, block=done, shares=shares)
    store.save_block(done)
    store.save_shares(done.id, shares)
    _certify(store, book, orders, now)
    _end_batch(store, done, now)
    return book


def _tell(store: Store, kind: Kind, statement: Statement, posted: Posted, traded_at: datetime, now: datetime) -> None:
    """One posting to the book, in parts of at most a thousand orders, and its sums to the account's totals."""
    block = posted.block
    suspense = posted.suspense
    if not len(posted.rows) and not any(suspense):
        return
    if posted.suspense_quantity > 0:
        block_buys(store, block.account_id, [block.key.instrument], now=now)
    store.add_to_totals(block.account_id, block.key.instrument, posted.signed_quantity, posted.cash_paise)
    parts = _parts(statement, posted)
    rows = []
    for start in range(0, max(len(parts), 1), MAX_EVENTS_A_MESSAGE):
        rows.append(
            {
                "id": new_id(),
                "at": now,
                "request_id": None,
                "account_id": block.account_id,
                "batch_id": block.batch_id,
                "block_id": block.id,
                "instrument": block.key.instrument,
                "side": block.key.side,
                "product": block.key.product,
                "kind": kind,
                "traded_at": traded_at,
                "allocations": parts[start : start + MAX_EVENTS_A_MESSAGE],
                "suspense_quantity": suspense[0],
                "suspense_value_paise": suspense[1],
                "suspense_charges_paise": suspense[2],
            }
        )
        suspense = (0, 0, 0)
    store.emit_rows(AllocationPosted, rows)


def _parts(statement: Statement, posted: Posted) -> list[dict[str, object]]:
    orders, users = statement.order_ids.texts, statement.user_ids.texts
    return [
        {
            "order_id": orders[row],
            "user_id": users[row],
            "quantity": lots,
            "value_paise": value,
            "charges": charges,
        }
        for row, lots, value, charges in zip(
            posted.rows.tolist(),
            posted.lots.tolist(),
            posted.priced.value_paise.tolist(),
            posted.priced.charges.tolist(),
            strict=True,
        )
    ]


def _ends(
    book: Book, intents: Sequence[Intent], orders: Sequence[BrokerOrder], now: datetime
) -> Iterator[tuple[OrderProgressed, npt.NDArray[np.intp]]]:
    """How the orders that did not fill end, by reason."""
    rows = unfilled(book.statement, book.shares)
    frozen, refused = book.shares.has(FROZEN)[rows], book.shares.has(REFUSED)[rows]
    status, reason = _end_of(book.block, intents, orders, now)
    groups: tuple[tuple[npt.NDArray[np.intp], Ended, str], ...] = (
        (rows[refused], "REJECTED", BEYOND_HOLD),
        (rows[frozen & ~refused], "CANCELLED", CANCELLED_BY_USER),
        (rows[~frozen], status, reason),
    )
    for group, ended, why in groups:
        if len(group):
            yield _progress(book, group, ended, why, now), group


def _progress(
    book: Book, rows: npt.NDArray[np.intp], status: Ended, reason: str | None, now: datetime
) -> OrderProgressed:
    return OrderProgressed(
        at=now,
        order_ids=[book.statement.order_ids[row] for row in rows.tolist()],
        status=status,
        reason=reason,
        batch_id=book.block.batch_id,
        block_id=book.block.id,
    )


def _end_of(block: Block, intents: Sequence[Intent], orders: Sequence[BrokerOrder], now: datetime) -> tuple[Ended, str]:
    """Status and reason of orders that stayed in the block to its end and did not fill."""
    refused = [intent for intent in intents if intent.state is IntentState.REFUSED]
    rejected = [order for order in orders if order.end is OrderEnd.REJECTED]
    if rejected:
        return "REJECTED", rejected[-1].message or "rejected by the broker"
    if not orders and any(intent.reason == OVER_LIMIT for intent in intents):
        return "REJECTED", OVER_LIMIT
    if refused and not orders:
        return "REJECTED", refused[-1].reason or "refused by the broker"
    if block.key.validity == "IOC":
        return "CANCELLED", NOT_FILLED_AT_ONCE
    if any(order.message == DAY_ENDED or order.placed_on < trading_day(now) for order in orders):
        return "EXPIRED", DAY_ENDED
    return "CANCELLED", next((order.message for order in reversed(orders) if order.message), CANCELLED_AT_BROKER)


def _reason(intents: Sequence[Intent], orders: Sequence[BrokerOrder]) -> str | None:
    """What went wrong with the block at the broker, for the operator."""
    messages = [order.message for order in orders if order.end is not OrderEnd.COMPLETE and order.message]
    return next(iter(messages + [intent.reason for intent in reversed(intents) if intent.reason]), None)


def _certify(store: Store, book: Book, orders: Sequence[BrokerOrder], now: datetime) -> None:
    previous = store.find_last_certificate_hash(book.block.account_id)
    document = certificates.make(
        book.block, book.statement, book.shares, orders, store.list_fills(book.block.id), previous, now
    )
    store.add_certificate(book.block.account_id, book.block.batch_id, book.block.id, document)


def _end_batch(store: Store, block: Block, now: datetime) -> None:
    if store.count_unfinished(block.batch_id) == 0:
        batch = store.get_batch(block.batch_id)
        store.save_batch(replace(batch, state=BatchState.DONE, finished_at=now))


def tell_working(store: Store, book: Book, *, now: datetime) -> Book:
    """The block's first broker order is with the broker: tell those in it, once."""
    if book.block.working_told:
        return book
    rows = np.flatnonzero(~book.shares.has(FROZEN))
    if len(rows):
        names = book.statement.order_ids.texts  # written once, here and for the fills
        store.emit_rows(
            OrderProgressed,
            [
                {
                    "id": new_id(),
                    "at": now,
                    "request_id": None,
                    "order_ids": [names[row] for row in rows.tolist()],
                    "status": "WORKING",
                    "reason": None,
                    "batch_id": book.block.batch_id,
                    "block_id": book.block.id,
                }
            ],
        )
    block = replace(book.block, working_told=True)
    store.save_block(block)
    return Book(block, book.statement, book.shares)


def tell_cut(store: Store, book: Book, rows: npt.NDArray[np.intp], *, now: datetime) -> Book:
    """Tell users whose rest can no longer fill that their orders have ended; their price may still be trued up."""
    refused = book.shares.has(REFUSED)[rows]
    if refused.any():
        store.emit([_progress(book, rows[refused], "REJECTED", BEYOND_HOLD, now)])
    if not refused.all():
        store.emit([_progress(book, rows[~refused], "CANCELLED", CANCELLED_BY_USER, now)])
    shares = book.shares.flagged(rows, TOLD)
    store.save_shares(book.block.id, shares)
    return Book(book.block, book.statement, shares)
