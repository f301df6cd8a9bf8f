"""Wrong turns between the broker's answer and the posting: what is read, shared out, priced and told."""

from dataclasses import replace
from typing import Any

import numpy as np
from prove.bugs.catalogue import Shelf, Swap

from saras_common.charges import order_charges
from trade_executor.core import book as core_book
from trade_executor.core import posting as core_posting
from trade_executor.core.book import FROZEN, TOLD, Shares, share_out
from trade_executor.core.pricing import Priced, price_exactly
from trade_executor.domain import IntentState
from trade_executor.store.memory.blocks import BlockTables
from trade_executor.store.memory.orders import OrderTables
from trade_executor.store.memory.tables import Tables
from trade_executor.store.memory.windows import WindowTables
from trade_executor.usecases import cancelling, following, posting, sending

bug = Shelf("following")


@bug("an older row of the order book overwrites a newer one")
def _older_row() -> list[Swap]:
    def wrong(order: Any, row: Any) -> Any:
        end = following.end_of(row.status)
        return replace(order, status=row.status, end=end, quantity=row.quantity, filled=row.filled)

    return [(following, "_noted", wrong)]


@bug("no unique trade id")
def _no_trade_id() -> list[Swap]:
    add = OrderTables.add_fills

    def wrong(tables: Any, fills: Any) -> Any:
        add(tables, fills)
        return list(fills)

    return [(OrderTables, "add_fills", wrong)]


@bug("the allocation is recomputed, not increased")
def _recomputed() -> list[Swap]:
    def wrong(wanted: Any, _allocated: Any, filled: int, _credits: Any = None) -> Any:
        whole = int(wanted.sum())
        lots, left = np.divmod(wanted * filled, whole)
        lots[np.argsort(-left, kind="stable")[: filled - int(lots.sum())]] += 1
        return lots

    return [(core_book, "allocate_array", wrong)]


@bug("the first listed take all")
def _first_listed() -> list[Swap]:
    def wrong(wanted: Any, allocated: Any, filled: int, _credits: Any = None) -> Any:
        left = filled - int(allocated.sum())
        room = np.cumsum(wanted - allocated)
        return allocated + np.clip(left - (room - (wanted - allocated)), 0, wanted - allocated)

    return [(core_book, "allocate_array", wrong)]


@bug("the house is served with the clients")
def _house() -> list[Swap]:
    def wrong(statement: Any, shares: Any, filled: int) -> Any:
        return share_out(replace(statement, house=np.zeros_like(statement.house)), shares, filled)

    return [(core_posting, "share_out", wrong)]


@bug("prices are floats")
def _floats() -> list[Swap]:
    def wrong(allocated: Any, filled: int, value_paise: int, charges: Any) -> Priced:
        right = price_exactly(allocated, filled, value_paise, charges)
        average = round(value_paise / filled / 100, 2)
        return Priced(np.array([round(got * average * 100) for got in allocated.tolist()], np.int64), right.charges)

    return [(core_posting, "price_exactly", wrong)]


@bug("no true-up at the block's end")
def _no_true_up() -> list[Swap]:
    return [(posting, "post_exactly", core_posting.post_average)]


@bug("a block ends before its fills are read")
def _early_end() -> list[Swap]:
    def wrong(intents: Any, orders: Any) -> bool:
        waiting = any(intent.state is IntentState.PLANNED or intent.state.is_in_doubt for intent in intents)
        return not waiting and all(order.end is not None for order in orders)

    return [(posting, "is_over", wrong)]


@bug("told as cancelled while the broker may still fill it")
def _told_early() -> list[Swap]:
    def wrong(store: Any, book: Any, *, now: Any) -> Any:
        rows = np.flatnonzero((book.shares.flags & (FROZEN | TOLD)) == FROZEN)
        return posting.tell_cut(store, book, rows, now=now) if len(rows) else book

    return [(module, "settle_frozen", wrong) for module in (cancelling, following, sending)]


@bug("an order's end is told again and again")
def _told_twice() -> list[Swap]:
    flagged = Shares.flagged
    return [(Shares, "flagged", lambda shares, rows, flag: flagged(shares, rows, flag & ~TOLD))]


@bug("events leave before their transaction commits")
def _told_before_commit() -> list[Swap]:
    def wrong(tables: Any) -> None:
        for name, key, before, _ in reversed(tables.changes):
            if before is None:
                del tables._database.table(name)[key]  # noqa: SLF001 - stands where the method stands
            else:
                tables._database.table(name)[key] = before  # noqa: SLF001 - as above

    return [(Tables, "undo", wrong)]


@bug("a cancellation that overtakes its order is lost")
def _lost_cancel() -> list[Swap]:
    request = WindowTables.request_cancels

    def wrong(tables: Any, order_ids: Any) -> None:
        request(tables, [each for each in order_ids if each in tables._rows("demands")])  # noqa: SLF001 - as above

    return [(WindowTables, "request_cancels", wrong)]


@bug("a redelivered order is taken again")
def _taken_twice() -> list[Swap]:
    add = WindowTables.add_demands

    def wrong(tables: Any, batch_id: Any, orders: Any) -> Any:
        rows = tables._rows("demands")  # noqa: SLF001 - stands where the method stands
        known = [order.order_id for order in orders if order.order_id in rows]
        for order_id in known:
            tables._put("demands", order_id, rows[order_id]._replace(batch_id=batch_id))  # noqa: SLF001 - as above
        return [*add(tables, batch_id, orders), *known]

    return [(WindowTables, "add_demands", wrong)]


@bug("the depository's fee is charged for every block")
def _fee_again() -> list[Swap]:
    return [(BlockTables, "claim_dp", lambda *_: True)]


@bug("charges are computed on the block, not on each broker order")
def _charges_of_block() -> list[Swap]:
    charges = posting._charges  # noqa: SLF001 - the function the bug replaces

    def wrong(store: Any, block: Any, orders: Any, day: Any) -> tuple[int, ...]:
        right = charges(store, block, orders, day)
        key, value = block.key, sum(order.traded_value_paise for order in orders)
        whole = order_charges(key.instrument.partition(":")[0], key.product, key.side, value, day).as_tuple()
        return (*whole[:-1], right[-1]) if value else right

    return [(posting, "_charges", wrong)]
