"""Readings of the broker: the order book as truth, trades as fills. Postbacks and ticks only say when to read."""

from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

from trade_executor.broker import Because, BookOrder, Broker, BrokerUnavailable, Trade
from trade_executor.domain import BrokerOrder, Intent
from trade_executor.engine.desk import Desk
from trade_executor.usecases import following

T = TypeVar("T")


class Throttled(Exception):
    """No reading fits into this second."""


class Reader:
    """Takes in what the broker says, block by block, each in one transaction."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._settled: set[str] = set()
        """Orders that cannot change any more: not looked up again in this process."""

    def read_fills(self) -> bool:
        """Read the trades of orders just sent, without the order book; whether any fill came of it."""
        broker = self._desk.broker
        return broker is not None and self._take_trades(broker, self._unsettled())

    def read_book(self) -> bool:
        """Read the order book, then what trades it tells of; whether anything changed.

        Raises `BrokerUnavailable` when a reading failed, having reset the count of clean readings.
        """
        desk = self._desk
        if desk.broker is None:
            return False
        try:
            rows = self.call(desk.broker.orders)
        except BrokerUnavailable:
            with desk.transaction() as store:
                following.reading_failed(store, desk.account_id, now=desk.now())
            raise
        desk.failpoint("orders_read")
        with desk.transaction() as store:
            reading = following.compare_book(
                store, desk.account_id, [row for row in rows if row.order_id not in self._settled], now=desk.now()
            )
        changed = self._resolve(reading.unresolved, rows)
        for order, row in reading.changed:
            self._note(order, row)
        for order in reading.gone:
            with desk.transaction() as store:
                following.note_gone(store, order, now=desk.now())
        unsettled = self._unsettled()
        fills = self._take_trades(desk.broker, [order for order in unsettled if order.filled > order.traded])
        found = self._meet(desk.broker, reading.strangers)
        return changed or fills or found or bool(reading.changed or reading.gone)

    def _unsettled(self) -> list[BrokerOrder]:
        with self._desk.transaction() as store:
            return store.list_unsettled(self._desk.account_id)

    def _note(self, order: BrokerOrder, row: BookOrder) -> None:
        desk = self._desk
        with desk.transaction() as store:
            noted = following.note_order(store, row.order_id, row, account_id=order.account_id, now=desk.now())
        if noted is not None and noted.is_settled:
            self._settled.add(row.order_id)

    def _resolve(self, unresolved: list[Intent], rows: list[BookOrder]) -> bool:
        desk = self._desk
        changed = False
        for intent in unresolved:
            with desk.transaction() as store:
                after = following.resolve(
                    store, intent.id, rows, rule=desk.rules.absence, now=desk.now(), new_id=desk.new_id
                )
            if after.state is not intent.state:
                changed = True
                desk.failpoint("doubt_resolved")
                desk.watch.resolved(after.state, late=after.late)
        return changed

    def _take_trades(self, broker: Broker, orders: list[BrokerOrder]) -> bool:
        """Read and take in trades of ``orders``; whether there were new ones."""
        desk = self._desk
        if not orders:
            return False
        trades = self._read_trades(broker, [order.broker_order_id for order in orders])
        desk.failpoint("trades_read")
        block_of = {order.broker_order_id: order.block_id for order in orders}
        traded = {order.broker_order_id: order.traded for order in orders}
        by_block: dict[UUID, list[Trade]] = {}
        reported = dict.fromkeys(block_of, 0)
        for trade in trades:
            if trade.order_id in block_of:
                by_block.setdefault(block_of[trade.order_id], []).append(trade)
                reported[trade.order_id] += trade.quantity
        news = {block_of[name] for name, quantity in reported.items() if quantity != traded[name]}
        for block_id in news:
            started = desk.clock.monotonic()
            with desk.transaction() as store:
                following.take_trades(store, block_id, by_block[block_id], account_id=desk.account_id, now=desk.now())
                desk.failpoint("before_fills_committed")
            desk.failpoint("after_fills_committed")
            desk.watch.posted(len(by_block[block_id]), desk.clock.monotonic() - started)
        return bool(news)

    def _read_trades(self, broker: Broker, order_ids: list[str]) -> list[Trade]:
        """One order's trades by themselves, several orders' from the whole trade book: one request either way."""
        if len(order_ids) == 1:
            return self.call(lambda: broker.order_trades(order_ids[0]))
        return self.call(broker.trades)

    def _meet(self, broker: Broker, strangers: list[BookOrder]) -> bool:
        desk = self._desk
        found = False
        every = self.call(broker.trades) if any(row.filled for row in strangers) else []
        for row in strangers:
            trades = [trade for trade in every if trade.order_id == row.order_id]
            with desk.transaction() as store:
                new = following.note_stranger(store, desk.account_id, row, trades, now=desk.now())
            if new:
                found = True
                desk.watch.stranger(row.instrument)
            if following.end_of(row.status) is not None and sum(trade.quantity for trade in trades) >= row.filled:
                self._settled.add(row.order_id)
        return found

    def has_room(self, readings: int) -> bool:
        """Whether so many readings fit into this second."""
        return self._desk.reads.left(self._desk.clock.monotonic())["second"] >= readings

    def call(self, read: Callable[[], T], *, requests: int = 1) -> T:
        """One reading, of so many requests, within the limits; `Throttled` when it does not fit now."""
        desk = self._desk
        limiter = desk.reads
        if limiter.wait_s(desk.clock.monotonic()) != 0 or not self.has_room(requests):
            raise Throttled("the broker's limit for readings")
        started = desk.clock.monotonic()
        for _ in range(requests):
            limiter.start()
        try:
            result = read()
        except BrokerUnavailable as error:
            desk.watch.outcome("read", "failed", desk.clock.monotonic() - started)
            if error.because is Because.LOGIN_NEEDED:
                desk.login_refused()
            if error.because is Because.TOO_MANY:
                limiter.hold(desk.clock.monotonic(), 1.0)
            raise
        finally:
            for _ in range(requests):
                limiter.end(desk.clock.monotonic())
        desk.watch.outcome("read", "ok", desk.clock.monotonic() - started)
        return result
