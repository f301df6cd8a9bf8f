"""Taking in what the broker says: the order book, trades, and what in it is not ours."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from saras_common.charges import order_charges
from saras_common.clock import trading_day
from saras_common.events import SuspenseFound
from saras_common.ids import NewId
from trade_executor.broker import BookOrder, Trade
from trade_executor.core.intents import AbsenceRule, Finding, count_clean_read, find, forget_clean_reads
from trade_executor.domain import BlockState, BrokerOrder, Fill, Intent, IntentState, OrderEnd
from trade_executor.store import Store
from trade_executor.usecases.cancelling import settle_frozen
from trade_executor.usecases.control import block_buys, plan_again
from trade_executor.usecases.posting import DAY_ENDED, end_if_over, take_fills
from trade_executor.usecases.sending import place_in_book

LATE = timedelta(hours=24)
"""An order declared absent is still recognised for so long when it shows after all."""


@dataclass(frozen=True, slots=True)
class BookReading:
    """One reading of the order book against what we know."""

    changed: list[tuple[BrokerOrder, BookOrder]] = field(default_factory=list)
    unresolved: list[Intent] = field(default_factory=list)
    strangers: list[BookOrder] = field(default_factory=list)
    gone: list[BrokerOrder] = field(default_factory=list)
    """Alive as far as we know, of an earlier day, and no longer in the book."""


def compare_book(store: Store, account_id: str, rows: Sequence[BookOrder], *, now: datetime) -> BookReading:
    """Sort a whole order book into what changed, what may resolve a doubt, and what is not ours."""
    known = store.find_broker_orders(account_id, [row.order_id for row in rows])
    unresolved = store.list_unresolved(account_id, now - LATE)
    tags = {intent.tag for intent in unresolved}
    seen = {row.order_id for row in rows}
    return BookReading(
        changed=[(known[row.order_id], row) for row in rows if row.order_id in known and _differs(known, row)],
        unresolved=unresolved,
        strangers=[
            row for row in rows if row.order_id not in known and row.tag not in tags and not tags.intersection(row.tags)
        ],
        gone=[
            order
            for order in store.list_unsettled(account_id)
            if order.broker_order_id not in seen and order.end is None and order.placed_on < trading_day(now)
        ],
    )


def end_of(status: str) -> OrderEnd | None:
    """How an order of this status ended; a status we do not know is not an end."""
    return OrderEnd(status) if status in OrderEnd.__members__ else None


def _differs(known: dict[str, BrokerOrder], row: BookOrder) -> bool:
    order = known[row.order_id]
    return _noted(order, row) != order


def _noted(order: BrokerOrder, row: BookOrder) -> BrokerOrder:
    """The order with what this reading adds: an end stays, fills never fall, whatever comes late or twice."""
    return replace(
        order,
        status=order.status if order.end is not None else row.status,
        end=order.end or end_of(row.status),
        quantity=order.quantity if order.end is not None else row.quantity,
        filled=max(order.filled, row.filled),
        message=row.message or order.message,
    )


def note_order(store: Store, order_id: str, row: BookOrder, *, account_id: str, now: datetime) -> BrokerOrder | None:
    """Take in one row of the order book; the order as it stands, to know whether its trades must be read."""
    order = store.find_broker_orders(account_id, [order_id]).get(order_id)
    if order is None:
        return None
    noted = _noted(order, row)
    if noted == order:
        return order
    store.save_broker_order(noted)
    book = settle_frozen(store, store.get_book(order.block_id), now=now)
    end_if_over(store, book, now=now)
    return noted


def note_gone(store: Store, order: BrokerOrder, *, now: datetime) -> None:
    """An order of an earlier day that the book no longer holds: its day ended."""
    row = BookOrder(order.broker_order_id, "", "", "", "CANCELLED", order.quantity, order.traded, message=DAY_ENDED)
    note_order(store, order.broker_order_id, row, account_id=order.account_id, now=now)


def take_trades(store: Store, block_id: UUID, trades: Iterable[Trade], *, account_id: str, now: datetime) -> None:
    """Take in trades of one block's broker orders; those known change nothing."""
    book = store.get_book(block_id)
    mine = {order.broker_order_id for order in store.list_broker_orders(block_id)}
    fills = [_fill(trade, account_id, block_id) for trade in trades if trade.order_id in mine]
    if fills:
        take_fills(store, book, fills, now=now)


def _fill(trade: Trade, account_id: str, block_id: UUID | None) -> Fill:
    return Fill(
        account_id=account_id,
        exchange=trade.instrument.partition(":")[0],
        trade_id=trade.trade_id,
        traded_on=trading_day(trade.traded_at),
        broker_order_id=trade.order_id,
        instrument=trade.instrument,
        side=trade.side,
        product=trade.product,
        quantity=trade.quantity,
        value_paise=trade.value_paise,
        traded_at=trade.traded_at,
        block_id=block_id,
    )


def resolve(
    store: Store, intent_id: UUID, rows: list[BookOrder], *, rule: AbsenceRule, now: datetime, new_id: NewId
) -> Intent:
    """What a clean reading of the whole order book says about an intent in doubt.

    Found by tag: adopted, however late. Not there often and long enough: absent, and planned again under a new tag.
    Our tag on something else: left to a person.
    """
    intent = store.get_intent(intent_id)
    if intent.state not in {IntentState.UNKNOWN, IntentState.OPERATOR, IntentState.ABSENT_CONFIRMED}:
        return intent
    book = store.get_book(intent.block_id)
    finding, row = find(intent, book.block, rows)
    if finding is Finding.FOUND and row is not None:
        late = intent.state is IntentState.ABSENT_CONFIRMED
        adopted = place_in_book(store, replace(intent, late=late), row.order_id, IntentState.ADOPTED, now=now)
        if book.block.state is BlockState.DONE:
            store.save_block(replace(store.get_book(intent.block_id).block, state=BlockState.WORKING))
        note_order(store, row.order_id, row, account_id=intent.account_id, now=now)
        return adopted
    if intent.state is not IntentState.UNKNOWN:
        return intent
    if finding is Finding.MISMATCH:
        intent = intent.moved(IntentState.OPERATOR, reason="an order with this tag is not the one that was meant")
    else:
        intent, finding = count_clean_read(intent, now, rule)
        if finding is Finding.ABSENT:
            intent = intent.moved(IntentState.ABSENT_CONFIRMED)
            plan_again(store, intent, new_id=new_id)
    store.save_intent(intent)
    return intent


def reading_failed(store: Store, account_id: str, *, now: datetime) -> None:
    """A reading of the order book failed: no absence is counted across it."""
    for intent in store.list_unresolved(account_id, now):
        if intent.clean_reads:
            store.save_intent(forget_clean_reads(intent))


def doubt_everything(store: Store, account_id: str, *, now: datetime) -> list[Intent]:
    """A new leader: whatever an earlier one was sending may have been placed."""
    doubted = []
    for intent in store.list_unresolved(account_id, now):
        if intent.state is IntentState.SENDING:
            doubted.append(intent.moved(IntentState.UNKNOWN, reason="its sender stopped before the answer"))
            store.save_intent(doubted[-1])
    return doubted


def note_stranger(store: Store, account_id: str, row: BookOrder, trades: Sequence[Trade], *, now: datetime) -> bool:
    """An order in the account that none of ours explains: its fills go to suspense, buys there stop.

    Whether there was anything new about it.
    """
    new = store.note_stranger(account_id, row.order_id, row.instrument, now)
    fresh = store.add_fills([_fill(trade, account_id, None) for trade in trades])
    reason = f"order {row.order_id} in the broker account was not placed here"
    for fill in fresh:
        exchange = fill.instrument.partition(":")[0]
        charged = order_charges(exchange, fill.product, fill.side, fill.value_paise, fill.traded_on)
        sign = 1 if fill.side == "BUY" else -1
        store.emit(
            [
                SuspenseFound(
                    at=now,
                    account_id=account_id,
                    instrument=fill.instrument,
                    quantity=sign * fill.quantity,
                    value_paise=fill.value_paise,
                    charges_paise=charged.total_paise,
                    reason=reason,
                )
            ]
        )
    if new or fresh:
        block_buys(store, account_id, [row.instrument], now=now)
    return bool(new or fresh)
