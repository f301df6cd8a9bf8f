"""What the executor's news does to the book: fills, true-ups, busts, progress and suspense as journals.

`OpenBook` holds the orders, positions and lots a delivery names, applies its events in order, and keeps the entries
and the changed pieces for the use case to write, each table in one statement. Late, repeated or reordered news of a
state changes nothing; money and shares that really moved are always posted, to suspense when nobody can take them.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import NamedTuple

from portfolio_service.domain.book import Order, Position, ShelfKey
from portfolio_service.domain.ledger import (
    BROKER,
    CASH,
    CASH_ASSET,
    CHARGES,
    FOUND,
    HELD,
    HOUSE,
    SECURITIES,
    SECURITIES_HELD,
    SUSPENSE,
    Entry,
    asset_of,
    move,
)
from portfolio_service.domain.orders import Status
from portfolio_service.domain.positions import Lot, close_first
from saras_common.clock import trading_day
from saras_common.events import Allocation, AllocationPosted, OrderProgressed, SuspenseFound
from saras_common.money import round_half_up


class Journal(NamedTuple):
    """What all entries of one posting share."""

    id: str
    account_id: str
    asset: str
    side: str
    kind: str
    settles: bool
    """The block has ended: every order stands at its final share."""
    block_id: str
    batch_id: str
    at: datetime
    traded_at: datetime
    day: date

    @property
    def is_buy(self) -> bool:
        return self.side == "BUY"


class Debt(NamedTuple):
    """Money an order owes beyond its hold, to be taken from the user's cash, else from suspense."""

    journal: Journal
    user_id: str
    order_id: str
    amount_paise: int


class OpenBook:
    """The part of the book one delivery touches."""

    def __init__(
        self, orders: Mapping[str, Order], positions: dict[ShelfKey, Position], lots: dict[str, tuple[ShelfKey, Lot]]
    ) -> None:
        self.orders = orders
        self.positions = positions
        self.lots = lots
        self.entries: list[Entry] = []
        self.debts: list[Debt] = []
        self.changed_lots: set[str] = set()
        self.ended: dict[str, int] = {}
        """Orders that reached a terminal state, counted by user."""
        self.unclaimed = 0
        """Allocations no order of ours could take."""
        self.shortfall_paise = 0
        """What suspense had to pay for users."""

    def settle(self) -> None:
        """Everything here was written: its orders, positions and lots may go on into another book."""
        for order in self.orders.values():
            order.notes, order.changed = [], False
        for position in self.positions.values():
            position.lots, position.reserved_change, position.changed = [], 0, False

    # --- fills, true-ups, busts -----------------------------------------------------------------------------------

    def post(self, event: AllocationPosted) -> None:
        """Apply one posting as one journal."""
        journal = _journal_of(event)
        sign = 1 if journal.is_buy else -1
        orphan_quantity, orphan_value = event.suspense_quantity, event.suspense_value_paise
        orphan_charges = event.suspense_charges_paise
        quantity = value = charges = 0
        for part in event.allocations:
            part_charges = sum(part.charges)
            quantity += part.quantity
            value += part.value_paise
            charges += part_charges
            order = self.orders.get(str(part.order_id))
            if order is None or not _fits(order, event, part):
                self.unclaimed += 1
                orphan_quantity += part.quantity
                orphan_value += part.value_paise
                orphan_charges += part_charges
                continue
            self._apply(order, part, part_charges, journal)
        self._suspend(journal, sign * orphan_quantity, -sign * orphan_value - orphan_charges, "unclaimed")
        quantity += event.suspense_quantity
        value += event.suspense_value_paise
        charges += event.suspense_charges_paise
        self._house(journal, BROKER, journal.asset, -sign * quantity)
        self._house(journal, BROKER, CASH_ASSET, sign * value)
        self._house(journal, CHARGES, CASH_ASSET, charges)

    def _apply(self, order: Order, part: Allocation, charges: int, journal: Journal) -> None:
        quantity, value = part.quantity, part.value_paise
        if quantity == 0:
            journal = journal._replace(kind="true_up")
        order.filled_quantity += quantity
        order.filled_paise += value
        kinds = order.charges
        for index, amount in enumerate(part.charges):
            kinds[index] += amount
        order.batch_id = journal.batch_id
        order.changed = True
        if quantity == 0:
            self._reprice(order, value, charges)
        elif (quantity > 0) == journal.is_buy:
            self._take_in(order, abs(quantity), value, charges, journal)
        else:
            value, charges = self._give_up(order, quantity, value, charges, journal)
        self._move_cash(order, value, charges, journal)
        if quantity > 0:
            filled = order.filled_quantity == order.quantity
            self._turn(order, Status.FILLED if filled else Status.PARTIALLY_FILLED, journal.at)
        if journal.settles:
            order.settled_block_id = journal.block_id
        if order.status.is_terminal and (
            order.status is not Status.FILLED or order.settled_block_id == journal.block_id
        ):
            self._release(order, journal.id, journal.at)

    # --- shares ---------------------------------------------------------------------------------------------------

    def _take_in(self, order: Order, quantity: int, value: int, charges: int, journal: Journal) -> None:
        """Shares come to the user: a buy's fill, or a sale undone."""
        position = self._position_of(order)
        position.fill(quantity, abs(value))
        position.charges += charges
        sold_back = not journal.is_buy
        signed = -1 if sold_back else 1
        position.count_day(journal.day, journal.side, signed * quantity, value)
        lot = self._lot_of(order, position, journal.traded_at)
        lot.add(quantity, abs(value))
        self.changed_lots.add(lot.id)
        target = SECURITIES
        if sold_back and not order.status.is_terminal:
            target = SECURITIES_HELD
            order.hold_quantity += quantity
            position.unreserve(-quantity)
        self._user(order, journal, target, journal.asset, quantity, value, charges)

    def _give_up(self, order: Order, quantity: int, value: int, charges: int, journal: Journal) -> tuple[int, int]:
        """Shares leave the user: a sale's fill, or a buy undone. Value and charges of what the user really had.

        What cannot be had any more (sold elsewhere since) is owed by suspense, which then gets its part of the money.
        """
        position = self._position_of(order)
        wanted = abs(quantity)
        from_hold = min(order.hold_quantity, wanted)
        from_free = min(max(position.free, 0), wanted - from_hold)
        had = from_hold + from_free
        own_value, own_charges = value, charges
        if had < wanted:
            own_value, own_charges = (round_half_up(amount * had, wanted) for amount in (value, charges))
            sign = 1 if journal.is_buy else -1
            cash = -sign * (value - own_value) - (charges - own_charges)
            self._suspend(journal, had - wanted, cash, "shortfall")
        if had:
            self._close(order, position, had, abs(own_value))
            sold = had if quantity > 0 else -had
            position.count_day(journal.day, journal.side, sold, own_value)
        position.charges += own_charges
        if from_hold:
            order.hold_quantity -= from_hold
            position.unreserve(from_hold)
            self._user(order, journal, SECURITIES_HELD, journal.asset, -from_hold, own_value, own_charges)
        if from_free:
            told = (0, 0) if from_hold else (own_value, own_charges)
            self._user(order, journal, SECURITIES, journal.asset, -from_free, *told)
        return own_value, own_charges

    def _close(self, order: Order, position: Position, quantity: int, value: int) -> None:
        position.fill(-quantity, value)
        # an undone buy takes back what it brought before it touches older lots
        lots = sorted(position.lots, key=lambda lot: (lot.id != order.id, lot.opened_at, lot.id))
        closing = close_first(lots, quantity, value)
        position.fifo_realised += int(closing.realised)
        self.changed_lots.update(lot.id for lot in closing.touched)

    def _reprice(self, order: Order, value: int, charges: int) -> None:
        """A true-up: the same units for ``value`` more in all."""
        if value == charges == 0:
            return
        position = self._position_of(order)
        position.charges += charges
        if order.side == "SELL":
            position.realised += value
            position.fifo_realised += value
            return
        position.correct(value, order.filled_quantity)
        kept = self.lots.get(order.id)
        if kept is None:
            position.fifo_realised -= value
            return
        position.fifo_realised += int(kept[1].correct(value))
        self.changed_lots.add(order.id)

    def _position_of(self, order: Order) -> Position:
        shelf = order.shelf
        position = self.positions.get(shelf)
        if position is None:
            position = self.positions[shelf] = Position()
        position.changed = True
        return position

    def _lot_of(self, order: Order, position: Position, opened_at: datetime) -> Lot:
        kept = self.lots.get(order.id)
        if kept is None:
            lot = Lot(order.id, opened_at)
            self.lots[order.id] = (order.shelf, lot)
            position.lots.append(lot)
            return lot
        lot = kept[1]
        lot.opened_at = min(lot.opened_at, opened_at)
        return lot

    # --- cash -----------------------------------------------------------------------------------------------------

    def _move_cash(self, order: Order, value: int, charges: int, journal: Journal) -> None:
        change = (-value if journal.is_buy else value) - charges
        if change > 0:
            account = CASH
            if journal.is_buy and not order.status.is_terminal:
                # goes back under the hold, which must go on covering the rest at the cap price
                account = HELD
                order.hold_paise += change
            self._user(order, journal, account, CASH_ASSET, change, value, charges)
        elif change < 0:
            from_hold = min(order.hold_paise, -change)
            if from_hold:
                order.hold_paise -= from_hold
                self._user(order, journal, HELD, CASH_ASSET, -from_hold, value, charges)
            if from_hold < -change:
                self.debts.append(Debt(journal, order.user_id, order.id, -change - from_hold))

    def settle_debts(self, cash: Mapping[str, int]) -> None:
        """Take what holds did not cover from the users' cash (``cash`` as stored); suspense pays the rest, noted."""
        left = {debt.user_id: cash.get(debt.user_id, 0) for debt in self.debts}
        for entry in self.entries:
            if entry.account == CASH and entry.owner_id in left:
                left[entry.owner_id] += entry.amount
        for journal, user_id, order_id, amount in self.debts:
            paid = min(max(left[user_id], 0), amount)
            left[user_id] -= paid
            if paid:
                line = (journal.id, user_id, CASH, journal.account_id, CASH_ASSET, -paid, journal.kind, order_id)
                self.entries.append(Entry(*line, 0, 0, journal.at))
            if paid < amount:
                self.shortfall_paise += amount - paid
                self._house(journal, SUSPENSE, CASH_ASSET, paid - amount, "shortfall")
        self.debts.clear()

    # --- states ---------------------------------------------------------------------------------------------------

    def progress(self, event: OrderProgressed) -> None:
        """Move orders without a fill; one that ends gives back what it still holds."""
        wanted = Status(event.status)
        batch_id = None if event.batch_id is None else str(event.batch_id)
        for order_id in event.order_ids:
            order = self.orders.get(str(order_id))
            if order is None or not self._turn(order, wanted, event.at, event.reason):
                continue
            order.batch_id = batch_id or order.batch_id
            if wanted.is_terminal:
                self._release(order, str(event.id), event.at)

    def _turn(self, order: Order, wanted: Status, at: datetime, reason: str | None = None) -> bool:
        moved = order.turn(wanted, at, reason)
        if moved and wanted.is_terminal:
            self.ended[order.user_id] = self.ended.get(order.user_id, 0) + 1
        return moved

    def _release(self, order: Order, journal_id: str, at: datetime) -> None:
        if order.hold_paise:
            self.entries += move(
                journal_id, order.user_id, order.account_id, CASH_ASSET, order.hold_paise, (HELD, CASH), "release",
                order.id, at,
            )  # fmt: skip
            order.hold_paise = 0
            order.changed = True
        if order.hold_quantity:
            asset = asset_of(order.shelf.instrument, order.shelf.product)
            self.entries += move(
                journal_id, order.user_id, order.account_id, asset, order.hold_quantity,
                (SECURITIES_HELD, SECURITIES), "release", order.id, at,
            )  # fmt: skip
            self._position_of(order).unreserve(order.hold_quantity)
            order.hold_quantity = 0
            order.changed = True

    # --- what belongs to nobody -----------------------------------------------------------------------------------

    def find(self, event: SuspenseFound) -> None:
        """Put what the broker account turned out to have (or lack) into suspense."""
        # money went the other way than the shares, whatever sign the value was told with
        paid = abs(event.value_paise) * (1 if event.quantity > 0 else -1) if event.quantity else event.value_paise
        cash = -paid - event.charges_paise
        asset = asset_of(event.instrument, "CNC")
        for what, amount in ((asset, event.quantity), (CASH_ASSET, cash)):
            if amount:
                for account, signed in ((SUSPENSE, amount), (FOUND, -amount)):
                    line = (str(event.id), HOUSE, account, event.account_id, what, signed, "suspense")
                    self.entries.append(Entry(*line, None, 0, 0, event.at))

    def _suspend(self, journal: Journal, shares: int, cash: int, kind: str) -> None:
        self._house(journal, SUSPENSE, journal.asset, shares, kind)
        self._house(journal, SUSPENSE, CASH_ASSET, cash, kind)

    def _house(self, journal: Journal, account: str, asset: str, amount: int, kind: str | None = None) -> None:
        if amount:
            line = (journal.id, HOUSE, account, journal.account_id, asset, amount, kind or journal.kind)
            self.entries.append(Entry(*line, None, 0, 0, journal.at))

    def _user(
        self, order: Order, journal: Journal, account: str, asset: str, amount: int, value: int, charges: int
    ) -> None:
        line = (journal.id, order.user_id, account, journal.account_id, asset, amount, journal.kind, order.id)
        self.entries.append(Entry(*line, value, charges, journal.at))


def _journal_of(event: AllocationPosted) -> Journal:
    kind = event.kind if event.kind == "bust" else "buy" if event.side == "BUY" else "sell"
    return Journal(
        str(event.id),
        event.account_id,
        asset_of(event.instrument, event.product),
        event.side,
        kind,
        event.kind == "true_up",
        str(event.block_id),
        str(event.batch_id),
        event.at,
        event.traded_at,
        trading_day(event.traded_at),
    )


def _fits(order: Order, event: AllocationPosted, part: Allocation) -> bool:
    """Whether the order can take this: its own user and terms, never more than it asked for or less than nothing."""
    return (
        order.shelf.instrument == event.instrument
        and order.side == event.side
        and order.shelf.product == event.product
        and order.account_id == event.account_id
        and order.shelf.user_id == str(part.user_id)
        and 0 <= order.filled_quantity + part.quantity <= order.quantity
    )
