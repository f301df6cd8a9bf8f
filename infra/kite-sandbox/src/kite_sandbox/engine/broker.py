"""The broker's core: facts are emitted here, orders matched, filled and dropped. The commands build on it."""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from kite_sandbox.clock import day_of
from kite_sandbox.engine import matching
from kite_sandbox.engine import records as r
from kite_sandbox.engine.funds import fill_charges
from kite_sandbox.engine.model import Account, Order, OrderType, Status, Validity
from kite_sandbox.engine.state import State
from kite_sandbox.errors import not_found

AUTO_PROTECTION = Decimal(-1)
AUTO_PROTECTION_PERCENT = Decimal(2)
ORDER_ID_SHIFT = 22
"""Order ids are milliseconds shifted this far: 19 digits, rising, and never given twice."""

TRADES_A_SECOND = 100_000
REJECTED_BY_FAULT = "RMS:Blocked by the sandbox (fault `reject`)"


@dataclass(frozen=True, slots=True)
class Rules:
    """How strict this broker is."""

    is_protection_strict: bool = True
    fill_delay_s: float = 0.0
    freeze_quantity: int = 1_000_000


@dataclass(frozen=True, slots=True)
class Effects:
    """What injected faults make of one order or change."""

    is_rejected: bool = False
    partial: Fraction | None = None
    invisible_s: float = 0.0


NO_EFFECTS = Effects()


@dataclass(frozen=True, slots=True)
class OrderUpdate:
    """An order as it stood when something happened to it; ``status`` is what the message says (``UPDATE`` too)."""

    order: Order
    status: str
    at: datetime


class Broker:
    """One simulated broker. ``records`` wait for the journal, ``updates`` for clients, ``due`` for a delayed fill."""

    def __init__(self, state: State, rules: Rules) -> None:
        self.state = state
        self.rules = rules
        self.records: list[r.Record] = []
        self.updates: list[OrderUpdate] = []
        self.due: list[str] = []

    def emit(self, record: r.Record) -> None:
        """Make something a fact."""
        self.state.apply(record)
        self.records.append(record)

    def tell(self, order: Order, status: str, at: datetime) -> None:
        """Let clients know, unless a fault keeps the order out of sight."""
        if order.visible_at is None or order.visible_at <= at:
            self.updates.append(OrderUpdate(replace(order), status, at))

    def get_order(self, account: Account, order_id: str) -> Order:
        """An order of this account's book of the day; 404 otherwise."""
        order = account.orders.get(order_id)
        if order is None:
            raise not_found("Couldn't find that `order_id`.")
        return order

    def next_order_id(self, now: datetime) -> str:
        """An id no order has had."""
        milliseconds = int(now.timestamp() * 1000)
        return str(max(self.state.last_order_id + 1, milliseconds << ORDER_ID_SHIFT))

    def last_price(self, order: Order, now: datetime) -> int:
        """The last price of an order's instrument, in paise."""
        return self.state.market.get(order.instrument, now).last_paise

    def drop(self, order: Order, at: datetime, *, is_requested: bool) -> None:
        """Take what has not traded out of the book."""
        self.emit(r.OrderCancelled(at=at, order_id=order.order_id, is_requested=is_requested, message=None))
        self.tell(order, Status.CANCELLED, at)

    def match_new(self, order: Order, now: datetime) -> None:
        """Match an order that has just reached the exchange, at once or after the fill delay."""
        if order.status not in {Status.OPEN, Status.TRIGGER_PENDING}:
            return
        if self.rules.fill_delay_s:
            self.due.append(order.order_id)
        else:
            self.match(order, now)

    def match_due(self, order_id: str, now: datetime) -> None:
        """Match an order whose fill was delayed, if it still stands."""
        order = self.state.orders.get(order_id)
        if order is not None and order.status.is_resting:
            self.match(order, now)

    def match(self, order: Order, now: datetime) -> None:
        """Trigger and fill one order as far as the last price allows; drop what an IOC order leaves."""
        last = self.last_price(order, now)
        if order.status is Status.TRIGGER_PENDING and matching.is_triggered(order, last):
            self._trigger(order, last, now)
        quantity = matching.quantity_to_fill(order, last)
        if quantity:
            self._fill(order, quantity, last, now)
        elif order.fill_cap == 0 and order.status is Status.OPEN and matching.is_marketable(order, last):
            self.emit(r.FillWithheld(at=now, order_id=order.order_id))
        if order.validity is Validity.IOC and order.status is Status.OPEN:
            self.drop(order, now, is_requested=False)

    def _trigger(self, order: Order, last: int, now: datetime) -> None:
        price = order.price_paise
        if order.order_type is OrderType.SLM and order.market_protection:
            percent = protection_percent(order.market_protection)
            price = matching.protection_price(order.instrument, order.side, last, percent)
        self.emit(r.OrderTriggered(at=now, order_id=order.order_id, price_paise=price))
        self.tell(order, "UPDATE", now)

    def _fill(self, order: Order, quantity: int, price_paise: int, now: datetime) -> None:
        account = self.state.accounts[order.api_key]
        day = self.state.day or day_of(now)
        charges, dp = fill_charges(account, order, quantity * price_paise, day)
        trade_id = max(self.state.last_trade_id + 1, int(now.timestamp()) * TRADES_A_SECOND)
        self.emit(
            r.OrderFilled(
                at=now,
                order_id=order.order_id,
                trade_id=str(trade_id),
                quantity=quantity,
                price_paise=price_paise,
                charges_paise=charges,
                dp_paise=dp,
            ),
        )
        self.tell(order, "UPDATE" if order.remaining else Status.COMPLETE, now)


def protection_percent(protection: Decimal) -> Decimal:
    """The width of a market order's band; -1 leaves it to the broker."""
    return AUTO_PROTECTION_PERCENT if protection == AUTO_PROTECTION else protection


def protection_tags(percent: Decimal) -> list[str]:
    """How Kite marks a market order it turned into a limit order."""
    return ["mktp", f"mktp:{percent:.2f}"]
