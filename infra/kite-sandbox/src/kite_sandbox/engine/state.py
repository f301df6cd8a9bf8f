"""The fold: every record changes the state in exactly one way, at run time and when the journal is read again."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from kite_sandbox.clock import day_of
from kite_sandbox.engine import records as r
from kite_sandbox.engine.gtt import ACTIVE, Gtt
from kite_sandbox.engine.market import Market
from kite_sandbox.engine.model import (
    Account,
    Holding,
    Order,
    Position,
    Product,
    Session,
    Side,
    Status,
    Trade,
    Variety,
)
from kite_sandbox.instruments import Catalogue, Instrument
from kite_sandbox.market_hours import MarketHours

SHORT_MARGIN = (6, 5)
"""A short position blocks its proceeds and a fifth on top."""


class JournalItem(NamedTuple):
    """One line of ``GET /sandbox/journal``; prices in paise."""

    seq: int
    at: datetime
    event: str
    order_id: str
    tag: str | None
    exchange: str
    tradingsymbol: str
    transaction_type: str
    product: str
    quantity: int
    price_paise: int
    trade_id: str | None


class State:
    """Everything the broker knows. Changed by `apply` alone."""

    def __init__(self, catalogue: Catalogue, hours: MarketHours) -> None:
        self.catalogue = catalogue
        self.hours = hours
        self.market = Market(catalogue)
        self.accounts: dict[str, Account] = {}
        self.orders: dict[str, Order] = {}
        self.resting: dict[str, dict[str, Order]] = {}
        self.gtts: dict[int, Gtt] = {}
        self.watched: dict[str, dict[int, Gtt]] = {}
        self.queued: dict[str, Order] = {}
        self.items: list[JournalItem] = []
        self.day: date | None = None
        self.opened_on: date | None = None
        self.replayed_to: date | None = None
        self.is_closed = False
        self.clock_offset = timedelta()
        self.last_order_id = 0
        self.last_trade_id = 0
        self.last_gtt_id = 0
        self._appliers: dict[type[r.Record], Callable[[Any], None]] = {
            r.JournalOpened: self._journal_opened,
            r.AccountOpened: self._account_opened,
            r.SessionStarted: self._session_started,
            r.SessionEnded: self._session_ended,
            r.DayStarted: self._day_started,
            r.SessionClosed: self._session_closed,
            r.ClockSet: self._clock_set,
            r.PricesSet: self._prices_set,
            r.ReplayReached: self._replay_reached,
            r.FundsMoved: self._funds_moved,
            r.HoldingAdded: self._holding_added,
            r.OrderPlaced: self._order_placed,
            r.OrderReleased: self._order_released,
            r.OrderTriggered: self._order_triggered,
            r.OrderModified: self._order_modified,
            r.ChangeRefused: self._change_refused,
            r.OrderCancelled: self._order_cancelled,
            r.OrderFilled: self._order_filled,
            r.FillWithheld: self._fill_withheld,
            r.PositionConverted: self._position_converted,
            r.GttSaved: self._gtt_saved,
            r.GttDeleted: self._gtt_deleted,
        }

    def apply(self, record: r.Record) -> None:
        """Change the state by one fact."""
        self._appliers[type(record)](record)

    def instrument(self, key: str) -> Instrument:
        """An instrument a record names; ``LookupError`` when the list in use lacks it."""
        instrument = self.catalogue.find(key)
        if instrument is None:
            raise LookupError(f"the journal trades {key}, which the instruments list in use does not have")
        return instrument

    def _journal_opened(self, record: r.JournalOpened) -> None:
        self.opened_on = day_of(record.at)
        self.last_order_id, self.last_trade_id = record.last_order_id, record.last_trade_id

    def _account_opened(self, record: r.AccountOpened) -> None:
        account = Account(record.api_key, record.user_id, record.cash_paise, record.cash_paise)
        self.accounts[record.api_key] = account

    def _session_started(self, record: r.SessionStarted) -> None:
        self.accounts[record.api_key].sessions[record.access_token] = Session(
            record.api_key,
            record.access_token,
            record.refresh_token,
            record.public_token,
            record.at,
            record.expires_at,
        )

    def _session_ended(self, record: r.SessionEnded) -> None:
        self.accounts[record.api_key].sessions.pop(record.access_token, None)

    def _clock_set(self, record: r.ClockSet) -> None:
        self.clock_offset = timedelta(microseconds=record.offset_us)

    def _prices_set(self, record: r.PricesSet) -> None:
        for key, price in record.prices.items():
            self.market.set_price(key, price, record.at)

    def _replay_reached(self, record: r.ReplayReached) -> None:
        self.replayed_to = record.day
        self._prices_set(r.PricesSet(at=record.at, prices=record.prices))

    def _funds_moved(self, record: r.FundsMoved) -> None:
        account = self.accounts[record.api_key]
        account.cash_paise += record.amount_paise
        account.refs.add(record.ref)

    def _holding_added(self, record: r.HoldingAdded) -> None:
        account = self.accounts[record.api_key]
        account.refs.add(record.ref)
        holding = account.holdings.setdefault(record.instrument, Holding(self.instrument(record.instrument)))
        if record.quantity >= 0:
            holding.add(record.quantity, record.quantity * record.average_price_paise, None)
        else:
            holding.remove(-record.quantity)
        if holding.quantity == 0:
            del account.holdings[record.instrument]

    def _order_placed(self, record: r.OrderPlaced) -> None:
        account = self.accounts[record.api_key]
        order = Order(
            order_id=record.order_id,
            api_key=record.api_key,
            user_id=account.user_id,
            instrument=self.instrument(record.instrument),
            variety=record.variety,
            side=record.side,
            product=record.product,
            order_type=record.order_type,
            quantity=record.quantity,
            price_paise=record.price_paise,
            trigger_price_paise=record.trigger_price_paise,
            validity=record.validity,
            disclosed_quantity=record.disclosed_quantity,
            market_protection=record.market_protection,
            tag=record.tag,
            tags=tuple(record.tags),
            placed_at=record.at,
            updated_at=record.at,
            parent_order_id=record.parent_order_id,
            visible_at=record.visible_at,
            fill_cap=record.fill_cap,
        )
        self.last_order_id = max(self.last_order_id, int(record.order_id))
        self.orders[order.order_id] = account.orders[order.order_id] = order
        account.requests_today += 1
        order.step(Status.RECEIVED, record.at)
        if record.rejection is not None:
            order.step(Status.VALIDATION_PENDING, record.at)
            order.step(Status.REJECTED, record.at, record.rejection)
            self._note("order_rejected", order, record.at)
            return
        self.resting.setdefault(order.instrument.key, {})[order.order_id] = order
        self._block(order, record.blocked_paise)
        self._promise(order, order.quantity)
        if order.variety is Variety.AMO:
            order.step(Status.AMO_RECEIVED, record.at)
        if record.is_queued:
            self.queued[order.order_id] = order
        else:
            self._enter(order, record.at)
        self._note("order_accepted", order, record.at)

    def _enter(self, order: Order, at: datetime) -> None:
        order.step(Status.VALIDATION_PENDING, at)
        order.step(Status.OPEN_PENDING, at)
        order.step(Status.TRIGGER_PENDING if order.order_type.is_stop else Status.OPEN, at)

    def _order_released(self, record: r.OrderReleased) -> None:
        self._enter(self.queued.pop(record.order_id), record.at)

    def _order_triggered(self, record: r.OrderTriggered) -> None:
        order = self.orders[record.order_id]
        order.is_triggered = True
        order.price_paise = record.price_paise
        order.step(Status.OPEN, record.at)

    def _order_modified(self, record: r.OrderModified) -> None:
        order = self.orders[record.order_id]
        order.step(Status.MODIFY_VALIDATION_PENDING, record.at)
        order.step(Status.MODIFY_PENDING, record.at)
        self._block(order, record.blocked_paise)
        self._promise(order, record.quantity - order.quantity)
        order.order_type, order.quantity = record.order_type, record.quantity
        order.price_paise, order.trigger_price_paise = record.price_paise, record.trigger_price_paise
        order.validity, order.disclosed_quantity = record.validity, record.disclosed_quantity
        order.market_protection, order.tags = record.market_protection, tuple(record.tags)
        order.modifications += 1
        self.accounts[order.api_key].requests_today += 1
        order.step(Status.MODIFIED, record.at)
        order.step(order.rest_status, record.at)
        self._note("order_modified", order, record.at)

    def _change_refused(self, record: r.ChangeRefused) -> None:
        order = self.orders[record.order_id]
        if record.is_cancel:
            order.step(Status.CANCEL_PENDING, record.at)
        else:
            order.step(Status.MODIFY_VALIDATION_PENDING, record.at)
            order.step(Status.MODIFY_PENDING, record.at)
            order.step(Status.NOT_MODIFIED, record.at, record.message)
            order.modifications += 1
        order.step(order.rest_status, record.at, record.message)

    def _order_cancelled(self, record: r.OrderCancelled) -> None:
        order = self.orders[record.order_id]
        if record.is_requested:
            order.step(Status.CANCEL_PENDING, record.at)
        order.step(Status.CANCELLED, record.at, record.message)
        self._block(order, 0)
        self._promise(order, -order.remaining)
        self._leave(order)
        self._note("order_cancelled", order, record.at, quantity=order.remaining)

    def _order_filled(self, record: r.OrderFilled) -> None:
        order = self.orders[record.order_id]
        account = self.accounts[order.api_key]
        value = record.quantity * record.price_paise
        blocked = order.blocked_paise * (order.remaining - record.quantity) // order.remaining
        order.filled += record.quantity
        order.value_paise += value
        order.charges_paise += record.charges_paise
        order.fill_cap = None
        self._block(order, blocked)
        self._promise(order, -record.quantity)
        with_charges = record.charges_paise + record.dp_paise
        account.cash_paise += (-value if order.side is Side.BUY else value) - with_charges
        if record.dp_paise:
            account.dp_charged.add(order.instrument.depository_key)
        position = account.position(order.instrument, order.product)
        before = position.short_value_paise
        position.add(order.side, record.quantity, value)
        self._block_short(account, before, position.short_value_paise)
        trade = Trade(record.trade_id, order, record.quantity, record.price_paise, record.at)
        account.trades.append(trade)
        order.trades.append(trade)
        self.last_trade_id = max(self.last_trade_id, int(record.trade_id))
        self.market.count_trade(order.instrument.key, record.quantity, record.price_paise, record.at)
        order.step(Status.OPEN if order.remaining else Status.COMPLETE, record.at)
        if not order.remaining:
            self._leave(order)
        self._note("fill", order, record.at, record.quantity, record.price_paise, record.trade_id)

    def _fill_withheld(self, record: r.FillWithheld) -> None:
        self.orders[record.order_id].fill_cap = None

    def _position_converted(self, record: r.PositionConverted) -> None:
        account = self.accounts[record.api_key]
        instrument = self.instrument(record.instrument)
        for product, sign in ((record.old_product, -1), (record.new_product, 1)):
            position = account.position(instrument, product)
            before = position.short_value_paise
            position.add(record.side, sign * record.quantity, sign * record.value_paise)
            self._block_short(account, before, position.short_value_paise)

    def _gtt_saved(self, record: r.GttSaved) -> None:
        gtt = Gtt.from_record(record)
        self.last_gtt_id = max(self.last_gtt_id, gtt.trigger_id)
        self.gtts[gtt.trigger_id] = gtt
        watched = self.watched.setdefault(gtt.instrument, {})
        if gtt.status == ACTIVE:
            watched[gtt.trigger_id] = gtt
        else:
            watched.pop(gtt.trigger_id, None)

    def _gtt_deleted(self, record: r.GttDeleted) -> None:
        gtt = self.gtts.pop(record.trigger_id)
        self.watched[gtt.instrument].pop(record.trigger_id, None)

    def _session_closed(self, record: r.SessionClosed) -> None:
        self.is_closed = record.day == self.day

    def _day_started(self, record: r.DayStarted) -> None:
        old_day, self.day, self.is_closed = self.day, record.day, False
        self.market.start_day(record.at)
        self.orders = {}
        for account in self.accounts.values():
            if old_day is not None:
                self._settle(account, old_day)
            for key, holding in list(account.holdings.items()):
                holding.settle(record.day)
                if holding.quantity == 0:
                    del account.holdings[key]
            self._empty_book(account, record.at)

    def _settle(self, account: Account, old_day: date) -> None:
        settles_on = self.hours.next_trading_day(self.hours.next_trading_day(old_day))
        carried: dict[tuple[str, Product], Position] = {}
        for (key, product), position in account.positions.items():
            net = position.quantity
            if product is Product.CNC and net:
                holding = account.holdings.setdefault(key, Holding(position.instrument))
                if net > 0:
                    holding.add(net, position.buy_value_paise * net // position.buys, settles_on)
                else:
                    holding.remove(-net)
            elif product is Product.NRML and net:
                carried[key, product] = _carry(position)
        account.positions = carried

    def _empty_book(self, account: Account, at: datetime) -> None:
        account.orders = {key: order for key, order in account.orders.items() if not order.status.is_final}
        self.orders.update(account.orders)
        account.trades, account.dp_charged, account.requests_today = [], set(), 0
        account.opening_paise = account.cash_paise
        account.sessions = {key: session for key, session in account.sessions.items() if session.expires_at > at}

    def _block(self, order: Order, blocked_paise: int) -> None:
        self.accounts[order.api_key].blocked_paise += blocked_paise - order.blocked_paise
        order.blocked_paise = blocked_paise

    def _block_short(self, account: Account, before_paise: int, after_paise: int) -> None:
        times, by = SHORT_MARGIN
        account.blocked_paise += after_paise * times // by - before_paise * times // by

    def _promise(self, order: Order, quantity: int) -> None:
        if order.side is Side.SELL and order.product is Product.CNC:
            promised = self.accounts[order.api_key].promised
            key = order.instrument.key
            promised[key] = promised.get(key, 0) + quantity

    def _leave(self, order: Order) -> None:
        self.resting[order.instrument.key].pop(order.order_id, None)
        self.queued.pop(order.order_id, None)

    def _note(
        self,
        event: str,
        order: Order,
        at: datetime,
        quantity: int | None = None,
        price_paise: int | None = None,
        trade_id: str | None = None,
    ) -> None:
        self.items.append(
            JournalItem(
                len(self.items) + 1,
                at,
                event,
                order.order_id,
                order.tag,
                order.instrument.exchange,
                order.instrument.symbol,
                order.side,
                order.product,
                order.quantity if quantity is None else quantity,
                order.price_paise if price_paise is None else price_paise,
                trade_id,
            ),
        )


def _carry(position: Position) -> Position:
    """An NRML position as the next day begins: signed quantity with its value at average."""
    net = position.quantity
    long_value = position.buy_value_paise + (position.overnight_value_paise if position.overnight > 0 else 0)
    bought = position.buys + max(position.overnight, 0)
    value = long_value * net // bought if net > 0 else position.short_value_paise
    return Position(position.instrument, position.product, net, value)
