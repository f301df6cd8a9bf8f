"""Apply what the executor tells: a whole delivery read at once, decided in memory, written a table at a time.

Locks, in the order every transaction of this service takes them: users, orders, balances, positions, lots. Only
users whose number of open orders changes, or who owe cash beyond a hold, are locked here.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from portfolio_service.domain.book import Order
from portfolio_service.domain.orders import Status
from portfolio_service.domain.postings import OpenBook
from portfolio_service.store import clients, ledger, outbox, postings
from portfolio_service.store.arrays import streamed, use_indexes
from saras_common.events import AllocationPosted, Event, OrderProgressed, OrderUpdated, SuspenseFound, queues_of
from saras_common.ids import NewId

MAX_PIECES = 1000
"""Allocations and progress notes worked on at once. More are taken in turns: what is written of so many fits into the
connection's buffers, so that nobody waits to hand it over."""

_ON_THE_WAY = frozenset({Status.QUEUED.value, Status.WORKING.value})

PostingEvent = AllocationPosted | OrderProgressed | SuspenseFound


class Posted:
    """What a delivery came to, for metrics."""

    def __init__(self) -> None:
        self.allocations = 0
        self.unclaimed = 0
        self.shortfall_paise = 0
        self.states: dict[str, int] = {}


def post_events(
    session: Session, events: Sequence[PostingEvent], *, now: datetime, new_id: NewId, partition: str = ""
) -> Posted:
    """Apply ``events`` in order. Their journals, orders and positions are in the session when this returns.

    ``partition``: they come from one of several consumers that have each their own users; else from the only one.
    """
    use_indexes(session)
    postings.lock_postings(session, partition)
    done = Posted()
    queued, working, rest = _apart(events)
    if moved := postings.queue_orders(session, queued, now):
        done.states[Status.QUEUED] = moved
    if begun := postings.work_orders(session, working, now):
        done.states[Status.WORKING] = len(begun)
        _tell(session, [{"id": new_id(), "at": now, "request_id": None, **row} for row in begun])
    _post(session, list(_parts(rest)), done, now, new_id)
    return done


def _apart(
    events: Sequence[PostingEvent],
) -> tuple[list[OrderProgressed], list[OrderProgressed], list[list[PostingEvent]]]:
    """The news that orders wait in a window; that they work, of those with no other news here; and the rest.

    Waiting is shown to whoever asks for the order, and not told on: it changes nothing for anybody. That an order
    works goes along with the next news of it, so that the order is read, written and told once.
    """
    queued: list[OrderProgressed] = []
    working: list[OrderProgressed] = []
    rest: list[list[PostingEvent]] = []
    more = {order_id for event in events if not _is_on_its_way(event) for order_id in _orders_of(event)}
    begun: dict[UUID, OrderProgressed] = {}
    for event in events:
        if not isinstance(event, OrderProgressed) or not _is_on_its_way(event):
            rest.append([*_taken_from(begun, _orders_of(event)), event])
        elif event.status == Status.QUEUED:
            queued += [event] if event.order_ids else []
        else:
            begun |= {order_id: event for order_id in event.order_ids if order_id in more}
            working += _named(event, [order_id for order_id in event.order_ids if order_id not in more])
    rest += [[event] for event in _taken_from(begun, list(begun))]
    return queued, working, rest


def _is_on_its_way(event: PostingEvent) -> bool:
    return isinstance(event, OrderProgressed) and event.status in _ON_THE_WAY


def _orders_of(event: PostingEvent) -> list[UUID]:
    if isinstance(event, AllocationPosted):
        return [part.order_id for part in event.allocations]
    return event.order_ids if isinstance(event, OrderProgressed) else []


def _taken_from(begun: dict[UUID, OrderProgressed], order_ids: Iterable[UUID]) -> list[OrderProgressed]:
    """What is in ``begun`` about these orders; it is not there any more."""
    found: dict[UUID, tuple[OrderProgressed, list[UUID]]] = {}
    for order_id in order_ids if begun else ():
        event = begun.pop(order_id, None)
        if event is not None:
            found.setdefault(event.id, (event, []))[1].append(order_id)
    return [named for event, mine in found.values() for named in _named(event, mine)]


def _named(event: OrderProgressed, order_ids: list[UUID]) -> list[OrderProgressed]:
    """The event about some of its orders."""
    return [event.model_copy(update={"order_ids": order_ids})] if order_ids else []


def _parts(news: Sequence[Sequence[PostingEvent]]) -> Iterator[list[PostingEvent]]:
    part: list[PostingEvent] = []
    pieces = 0
    for events in news:
        size = _size(events[-1])
        if part and pieces + size > MAX_PIECES:
            yield part
            part, pieces = [], 0
        part += events
        pieces += size
    if part:
        yield part


def _size(event: Event) -> int:
    if isinstance(event, AllocationPosted):
        return len(event.allocations)
    return len(event.order_ids) if isinstance(event, OrderProgressed) else 1


def _post(
    session: Session, parts: Sequence[Sequence[PostingEvent]], done: Posted, now: datetime, new_id: NewId
) -> None:
    """Part after part. While one is worked on here, the server reads for the next and writes what the last one became.

    What is read for a part may thus be older than the part before it, whose pieces are then taken from memory.
    """
    if not parts:
        return
    with streamed(session):
        taken = _ask(session, parts[0]).take()
        book = OpenBook({}, {}, {})
        for number, part in enumerate(parts, start=1):
            book = _open(taken, book)
            asked = _ask(session, parts[number]) if number < len(parts) else None
            _apply(book, part, done)
            if asked is not None:
                taken = asked.take()  # before the writing is sent, or it would be waited for too
            _close(session, book, done, now, new_id)


def _apply(book: OpenBook, events: Sequence[PostingEvent], done: Posted) -> None:
    for event in events:
        if isinstance(event, AllocationPosted):
            book.post(event)
            done.allocations += len(event.allocations)
        elif isinstance(event, OrderProgressed):
            book.progress(event)
        else:
            book.find(event)
    done.unclaimed += book.unclaimed
    for order in book.orders.values():
        for note in order.notes:
            done.states[note.status] = done.states.get(note.status, 0) + 1


def _ask(session: Session, events: Sequence[PostingEvent]) -> postings.Asked:
    filled: set[UUID] = set()
    named: set[UUID] = set()
    closing: set[UUID] = set()
    for event in events:
        if isinstance(event, AllocationPosted):
            filled.update([part.order_id for part in event.allocations])
            if event.side == "SELL" or event.kind == "bust":  # shares leave: all lots that are open there are needed
                closing.update([part.order_id for part in event.allocations if part.quantity])
        elif isinstance(event, OrderProgressed):
            named.update(event.order_ids)
    return postings.Asked(session, filled | named, filled, closing)


def _open(taken: postings.Taken, before: OpenBook) -> OpenBook:
    """The book of a part, with what ``before`` has of the same pieces."""
    orders, positions, lots = taken.orders(), taken.positions(), taken.lots()
    if before.orders:
        before.settle()
        shelves = {order.shelf for order in orders.values()}
        orders |= {name: before.orders[name] for name in orders.keys() & before.orders.keys()}
        positions |= {shelf: before.positions[shelf] for shelf in shelves & before.positions.keys()}
        lots |= {name: kept for name, kept in before.lots.items() if kept[0] in shelves}
    for shelf, lot in lots.values():
        if shelf in positions:
            positions[shelf].lots.append(lot)
    return OpenBook(orders, positions, lots)


def _close(session: Session, book: OpenBook, done: Posted, now: datetime, new_id: NewId) -> None:
    if book.debts:
        debtors = {debt.user_id: debt.journal.account_id for debt in book.debts}
        clients.lock_wallets(session, debtors.keys() | book.ended.keys(), now, new_id)
        cash = ledger.list_cash(session, debtors)
        book.settle_debts({user: cash.get((user, account), 0) for user, account in debtors.items()})
        done.shortfall_paise += book.shortfall_paise
    changed = [order for order in book.orders.values() if order.changed]
    clients.count_open_orders(session, {user_id: -count for user_id, count in book.ended.items()})
    postings.save_orders(session, changed, now)
    ledger.add_entries(session, book.entries)
    postings.save_positions(session, book.positions)
    postings.save_lots(session, book.lots, book.changed_lots)
    _tell(session, [_updated(order, now, new_id) for order in changed])


def _tell(session: Session, updates: Sequence[dict[str, Any]]) -> None:
    if queues_of(OrderUpdated.type):  # nobody may be listening, and it is one event for every order
        outbox.tell_rows(session, OrderUpdated, updates, soon=True)


def _updated(order: Order, now: datetime, new_id: NewId) -> dict[str, Any]:
    """The fields of `OrderUpdated`."""
    return {
        "id": new_id(),
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
