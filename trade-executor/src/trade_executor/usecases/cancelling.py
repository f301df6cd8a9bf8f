"""Cancellations: the user's part is frozen at once, the broker's order is cut until nothing of it can still fill."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

import numpy as np

from saras_common.events import OrderProgressed
from trade_executor.broker import Answer, Outcome
from trade_executor.core import cuts
from trade_executor.core.blocks import key_of
from trade_executor.core.book import FROZEN, TOLD, wanted_now
from trade_executor.core.intents import committed
from trade_executor.domain import BatchState, BlockState, CancelRequest, IntentState
from trade_executor.store import Book, Store
from trade_executor.usecases.posting import CANCELLED_BY_USER, end_if_over, tell_cut


def apply_cancels(store: Store, account_id: str, *, now: datetime) -> int:
    """Act on requests whose order has arrived; how many."""
    requests = store.list_cancel_requests(account_id)
    waiting = [request for request in requests if request.batch_state in {BatchState.OPEN, BatchState.CLOSED}]
    for request in waiting:
        _leave_window(store, request, now)
    by_block: dict[UUID, list[UUID]] = {}
    for request in requests:
        if request.batch_state not in {BatchState.OPEN, BatchState.CLOSED}:
            block_id = store.find_block_id(request.demand.batch_id, key_of(request.demand))
            if block_id is not None:
                by_block.setdefault(block_id, []).append(request.demand.order_id)
    for block_id, order_ids in by_block.items():
        _freeze(store, store.get_book(block_id), order_ids, now)
    store.handled_cancels([request.demand.order_id for request in requests])
    return len(requests)


def _leave_window(store: Store, request: CancelRequest, now: datetime) -> None:
    order_id, batch_id = request.demand.order_id, request.demand.batch_id
    store.end_demands([order_id])
    store.count_orders(batch_id, -1)
    store.emit(
        [OrderProgressed(at=now, order_ids=[order_id], status="CANCELLED", reason=CANCELLED_BY_USER, batch_id=batch_id)]
    )


def _freeze(store: Store, book: Book, order_ids: list[UUID], now: datetime) -> None:
    """No lots that can be avoided from here on; a filled order, and one kept out, stay as they are."""
    if book.block.state is BlockState.DONE:
        return
    found = [book.statement.order_ids.find(order_id) for order_id in order_ids]
    rows = [row for row in found if row is not None and book.shares.allocated[row] < book.statement.wanted[row]]
    if rows:
        shares = book.shares.flagged(rows, FROZEN)
        store.save_shares(book.block.id, shares)
        settle_frozen(store, replace(book, shares=shares), now=now)


def settle_frozen(store: Store, book: Book, *, now: datetime) -> Book:
    """Tell frozen orders their end once no broker order can fill anything of them."""
    rows = np.flatnonzero((book.shares.flags & (FROZEN | TOLD)) == FROZEN)
    if len(rows) == 0 or book.block.state is BlockState.DONE or excess(store, book) > 0:
        return book
    rows = rows[book.shares.allocated[rows] < book.statement.wanted[rows]]
    return tell_cut(store, book, rows, now=now) if len(rows) else book


def excess(store: Store, book: Book) -> int:
    """Lots the block's broker orders have filled or may fill beyond what its users stand for."""
    orders = {order.intent_id: order.committed for order in store.list_broker_orders(book.block.id)}
    return committed(store.list_intents(book.block.id), orders) - int(wanted_now(book.statement, book.shares).sum())


def decide_cuts(store: Store, block_id: UUID, *, now: datetime) -> list[cuts.Cut]:
    """What to ask of the broker so that the block cannot fill more than is wanted."""
    book = store.get_book(block_id)
    too_many = excess(store, book)
    return cuts.decide(too_many, store.list_broker_orders(block_id), now) if too_many > 0 else []


def begin_cut(store: Store, cut: cuts.Cut, *, now: datetime) -> None:
    """Note what is asked, before it is asked."""
    quantity = 0 if cut.quantity is None else cut.quantity
    modified = cut.quantity is not None
    store.save_broker_order(
        replace(cut.order, cut_to=quantity, cut_at=now, modifications=cut.order.modifications + int(modified))
    )
    store.log_call(cut.order.account_id, now)


def record_cut(store: Store, cut: cuts.Cut, answer: Answer) -> None:
    """Nothing is taken from the answer but that asking again at once is useful; the order book is the truth."""
    if answer.outcome in {Outcome.NO, Outcome.NOT_SENT}:
        current = store.find_broker_orders(cut.order.account_id, [cut.order.broker_order_id])
        order = current.get(cut.order.broker_order_id)
        if order is not None and order.end is None and answer.outcome is Outcome.NOT_SENT:
            store.save_broker_order(replace(order, cut_at=None, cut_to=None))


def withdraw_planned(store: Store, block_id: UUID, *, now: datetime) -> None:
    """A block nobody stands for any more, and not sent: end it without the broker."""
    book = store.get_book(block_id)
    if int(wanted_now(book.statement, book.shares).sum()) > book.block.filled:
        return
    for intent in store.list_intents(block_id):
        if intent.state is IntentState.PLANNED:
            store.save_intent(intent.moved(IntentState.WITHDRAWN, reason="nothing left to send"))
    end_if_over(store, settle_frozen(store, book, now=now), now=now)
