"""Apply what the executor tells: a whole delivery read at once, decided in memory, written a table at a time.

Locks, in the order every transaction of this service takes them: users, orders, balances, positions, lots. Only
users whose number of open orders changes, or who owe cash beyond a hold, are locked here.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from portfolio_service.domain.book import Order, ShelfKey
from portfolio_service.domain.orders import Status
from portfolio_service.domain.postings import OpenBook
from portfolio_service.store import clients, ledger, outbox, postings
from portfolio_service.store.arrays import streamed, use_indexes
from saras_common.events import AllocationPosted, Event, OrderProgressed, OrderUpdated, SuspenseFound, queues_of
from saras_common.ids import NewId

MAX_PIECES = 5000
"""Allocations and progress notes worked on at once; more are taken in turns, to bound memory."""

PostingEvent = AllocationPosted | OrderProgressed | SuspenseFound


class Posted:
    """What a delivery came to, for metrics."""

    def __init__(self) -> None:
        self.allocations = 0
        self.unclaimed = 0
        self.shortfall_paise = 0
        self.states: dict[str, int] = {}


def post_events(session: Session, events: Sequence[PostingEvent], *, now: datetime, new_id: NewId) -> Posted:
    """Apply ``events`` in order. Their journals, orders and positions are in the session when this returns."""
    use_indexes(session)
    postings.lock_postings(session)
    done = Posted()
    queued, rest = _apart(events)
    if moved := postings.queue_orders(session, queued, now):
        done.states[Status.QUEUED] = moved
    for part in _parts(rest):
        _post(session, part, done, now, new_id)
    return done


def _apart(events: Sequence[PostingEvent]) -> tuple[list[OrderProgressed], list[PostingEvent]]:
    """The news that orders wait in a window, and the rest, which came after it.

    Waiting is shown to whoever asks for the order, and not told on: it changes nothing for anybody.
    """
    queued: list[OrderProgressed] = []
    rest: list[PostingEvent] = []
    for event in events:
        if isinstance(event, OrderProgressed) and event.status == Status.QUEUED:
            queued.append(event)
        else:
            rest.append(event)
    return queued, rest


def _parts(events: Sequence[PostingEvent]) -> Iterator[list[PostingEvent]]:
    part: list[PostingEvent] = []
    pieces = 0
    for event in events:
        size = _size(event)
        if part and pieces + size > MAX_PIECES:
            yield part
            part, pieces = [], 0
        part.append(event)
        pieces += size
    if part:
        yield part


def _size(event: Event) -> int:
    if isinstance(event, AllocationPosted):
        return len(event.allocations)
    return len(event.order_ids) if isinstance(event, OrderProgressed) else 1


def _post(session: Session, events: Sequence[PostingEvent], done: Posted, now: datetime, new_id: NewId) -> None:
    book = _open(session, events)
    for event in events:
        if isinstance(event, AllocationPosted):
            book.post(event)
            done.allocations += len(event.allocations)
        elif isinstance(event, OrderProgressed):
            book.progress(event)
        else:
            book.find(event)
    _close(session, book, now, new_id)
    done.unclaimed += book.unclaimed
    done.shortfall_paise += book.shortfall_paise
    for order in book.orders.values():
        for note in order.notes:
            done.states[note.status] = done.states.get(note.status, 0) + 1


def _open(session: Session, events: Sequence[PostingEvent]) -> OpenBook:
    posted = [event for event in events if isinstance(event, AllocationPosted)]
    filled = {str(part.order_id) for event in posted for part in event.allocations}
    named = {str(order_id) for event in events if isinstance(event, OrderProgressed) for order_id in event.order_ids}
    orders = postings.list_orders(session, filled | named)
    shelves = {
        order.shelf for order in orders.values() if order.id in filled or (order.hold_quantity and order.id in named)
    }
    closing = _closing(posted, orders)
    buys = [order_id for order_id in filled if order_id in orders]
    lots = postings.list_lots(session, buys, list(closing)) if buys else {}
    positions = postings.list_positions(session, list(shelves))
    for shelf, lot in lots.values():
        if shelf in positions:
            positions[shelf].lots.append(lot)
    return OpenBook(orders, positions, lots)


def _closing(posted: Sequence[AllocationPosted], orders: dict[str, Order]) -> set[ShelfKey]:
    """Shelves that shares leave: their lots are needed, all of them."""
    shelves = set()
    for event in posted:
        if event.side == "BUY" and event.kind != "bust":
            continue
        for part in event.allocations:
            order = orders.get(str(part.order_id))
            if order is not None and part.quantity:
                shelves.add(order.shelf)
    return shelves


def _close(session: Session, book: OpenBook, now: datetime, new_id: NewId) -> None:
    if book.debts:
        debtors = {debt.user_id: debt.journal.account_id for debt in book.debts}
        clients.lock_wallets(session, debtors.keys() | book.ended.keys(), now, new_id)
        cash = ledger.list_cash(session, debtors)
        book.settle_debts({user: cash.get((user, account), 0) for user, account in debtors.items()})
    changed = [order for order in book.orders.values() if order.changed]
    with streamed(session):
        clients.count_open_orders(session, {user_id: -count for user_id, count in book.ended.items()})
        postings.save_orders(session, changed, now)
        ledger.add_entries(session, book.entries)
        postings.save_positions(session, book.positions)
        postings.save_lots(session, book.lots, book.changed_lots)
    if queues_of(OrderUpdated.type):  # nobody may be listening, and it is one event for every order
        outbox.tell_rows(session, OrderUpdated, [_updated(order, now, new_id) for order in changed])


def _updated(order: Order, now: datetime, new_id: NewId) -> dict[str, Any]:
    """The fields of `OrderUpdated`."""
    return {
        "id": str(new_id()),
        "at": now,
        "request_id": None,
        "order_id": order.id,
        "user_id": order.user_id,
        "instrument": order.shelf.instrument,
        "side": order.side,
        "product": order.shelf.product,
        "quantity": order.quantity,
        "status": order.status.value,
        "status_reason": order.status_reason,
        "filled_quantity": order.filled_quantity,
        "filled_value_paise": order.filled_paise,
        "charges_paise": sum(order.charges),
        "basket_id": order.basket_id,
        "batch_id": order.batch_id,
    }
