"""The real book's decisions under the simulated one: holds, journals, positions, lots, states, and what must hold."""

from collections import defaultdict
from uuid import UUID

from portfolio_service.domain import holds, postings
from portfolio_service.domain.book import Order, Position, ShelfKey
from portfolio_service.domain.ledger import (
    CASH,
    CASH_ASSET,
    EXTERNAL,
    FOUND,
    HELD,
    HOUSE,
    SECURITIES,
    SECURITIES_HELD,
    USER_ACCOUNTS,
    Entry,
    asset_of,
    move,
)
from portfolio_service.domain.orders import Status
from portfolio_service.domain.positions import Lot
from saras_common.clock import trading_day
from saras_common.events import AllocationPosted, OrderAccepted, OrderProgressed
from trade_executor.testing.world import TERMINAL, Book


class LedgerBook(Book):
    """Every user brings exactly what the order's hold needs, so a paisa too much spent shows at once."""

    def __init__(self) -> None:
        super().__init__()
        self._orders: dict[str, Order] = {}
        self._positions: dict[ShelfKey, Position] = {}
        self._lots: dict[str, tuple[ShelfKey, Lot]] = {}
        self._balances: dict[tuple[str, str, str], int] = defaultdict(int)
        self._caps: dict[str, int] = {}
        self._wrong: list[str] = []

    # --- what comes in

    def take(self, order: OrderAccepted) -> None:
        if order.order_id in self.lines:
            return
        super().take(order)
        shelf = ShelfKey(str(order.user_id), "main", order.instrument, order.product)
        self._caps[str(order.order_id)] = order.price_paise or order.cap_price_paise or 0
        made = Order(
            str(order.order_id), order.account_id, shelf, order.side, order.quantity, Status.ACCEPTED, None, 0, 0,
            [0] * 7, 0, 0, None, None, None,
        )  # fmt: skip
        self._orders[made.id] = made
        if order.side == "BUY":
            self._hold_cash(order, made)
        else:
            self._hold_shares(order, made)

    def _hold_cash(self, order: OrderAccepted, made: Order) -> None:
        cap = self._caps[made.id]
        exchange = order.instrument.partition(":")[0]
        made.hold_paise = holds.buy_hold(exchange, order.product, order.quantity, cap, trading_day(order.at))
        amount = made.hold_paise
        self._enter(
            [
                *move(made.id, made.user_id, "main", CASH_ASSET, amount, (EXTERNAL, CASH), "deposit", None, order.at),
                *move(made.id, made.user_id, "main", CASH_ASSET, amount, (CASH, HELD), "reserve", made.id, order.at),
            ]
        )

    def _hold_shares(self, order: OrderAccepted, made: Order) -> None:
        made.hold_quantity = order.quantity
        asset = asset_of(order.instrument, order.product)
        given = Entry(made.id, HOUSE, FOUND, "main", asset, -order.quantity, "found", None, 0, 0, order.at)
        self._enter(
            [
                given,
                given._replace(owner_id=made.user_id, account=SECURITIES, amount=order.quantity),
                *move(
                    made.id,
                    made.user_id,
                    "main",
                    asset,
                    order.quantity,
                    (SECURITIES, SECURITIES_HELD),
                    "reserve",
                    made.id,
                    order.at,
                ),
            ]
        )
        position = self._positions.setdefault(made.shelf, Position())
        position.fill(order.quantity, 0)
        position.reserved += order.quantity
        lot = Lot(f"opening {made.id}", order.at)
        lot.add(order.quantity, 0)
        position.lots.append(lot)
        self._lots[lot.id] = (made.shelf, lot)

    def post(self, event: AllocationPosted) -> None:
        book = self._open()
        book.post(event)
        self._close(book)
        super().post(event)

    def progress(self, event: OrderProgressed) -> None:
        book = self._open()
        book.progress(event)
        self._close(book)
        super().progress(event)

    def _open(self) -> postings.OpenBook:
        return postings.OpenBook(self._orders, self._positions, self._lots)

    def _close(self, book: postings.OpenBook) -> None:
        if book.debts:
            book.settle_debts({debt.user_id: self._balances[debt.user_id, CASH, CASH_ASSET] for debt in book.debts})
        self._enter(book.entries)
        for order in {each.order_id for each in book.entries if each.order_id}:
            self._check_hold(self._orders[order])
        if book.unclaimed:
            self._wrong.append(f"ledger: {book.unclaimed} allocations no order could take")
        if book.shortfall_paise:
            self._wrong.append(f"ledger: suspense paid {book.shortfall_paise} for users")

    # --- what must hold

    def _enter(self, entries: list[Entry]) -> None:
        """Each journal sums to zero per asset; nothing a user has goes below zero."""
        sums: dict[tuple[str, str], int] = defaultdict(int)
        for entry in entries:
            sums[entry.journal_id, entry.asset] += entry.amount
            self._balances[entry.owner_id, entry.account, entry.asset] += entry.amount
        self._wrong += [f"ledger: a journal leaves {left} of {asset}" for (_, asset), left in sums.items() if left]
        self._wrong += [
            f"ledger: {entry.amount} short of {entry.asset}" for entry in entries if entry.kind == "shortfall"
        ]
        for entry in entries:
            left = self._balances[entry.owner_id, entry.account, entry.asset]
            if left < 0 and entry.account in USER_ACCOUNTS:
                self._wrong.append(f"ledger: {entry.account} of a user is {left} of {entry.asset}")

    def _check_hold(self, order: Order) -> None:
        """What may still be bought is still held for."""
        left = (order.quantity - order.filled_quantity) * self._caps[order.id]
        if order.side == "BUY" and not order.status.is_terminal and order.hold_paise < left:
            self._wrong.append(f"ledger: {order.hold_paise} held for what may cost {left}")

    def check_end(self) -> list[str]:
        """Everything ended: nothing is held, every order stands as it was told, positions are the ledger's."""
        wrong = list(self._wrong)
        for order in self._orders.values():
            wrong += self._check_order(order)
        for (_, account, asset), left in self._balances.items():
            if left and account in {HELD, SECURITIES_HELD}:
                wrong.append(f"ledger: {left} of {asset} is still held")
        for shelf, position in self._positions.items():
            asset = asset_of(shelf.instrument, shelf.product)
            if self._balances[shelf.user_id, SECURITIES, asset] != position.quantity or position.reserved:
                wrong.append(f"ledger: a position of {position.quantity} is not what the ledger says")
        return wrong

    def _check_order(self, order: Order) -> list[str]:
        line = self.lines[UUID(order.id)]
        wrong = []
        if order.hold_paise or order.hold_quantity:
            wrong.append(f"ledger: {order.status} order holds {order.hold_paise} and {order.hold_quantity}")
        if (order.filled_quantity, order.filled_paise, sum(order.charges)) != (line.filled, line.value, line.charges):
            wrong.append(f"ledger: {order.filled_quantity} for {order.filled_paise}, told {line.filled}, {line.value}")
        if line.status in TERMINAL and order.status.value != line.status:
            wrong.append(f"ledger: an order told {line.status} is {order.status}")
        ends = [note.status for note in order.notes if note.status.is_terminal]
        if len(ends) > 1:
            wrong.append(f"ledger: an order ended as {ends}")
        return wrong
