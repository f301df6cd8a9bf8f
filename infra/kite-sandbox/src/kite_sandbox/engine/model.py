"""What the broker keeps: orders with their state machine, trades, positions, holdings, accounts. Prices in paise."""

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from kite_sandbox.instruments import Instrument
from saras_common.money import round_half_up


class Side(StrEnum):
    """Kite's ``transaction_type``."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def opposite(self) -> "Side":
        """The other side."""
        return Side.SELL if self is Side.BUY else Side.BUY


class Product(StrEnum):
    """Delivery, intraday, carried forward."""

    CNC = "CNC"
    MIS = "MIS"
    NRML = "NRML"


class OrderType(StrEnum):
    """How an order is priced."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"
    SL = "SL"
    SLM = "SL-M"

    @property
    def is_stop(self) -> bool:
        """Whether it waits for a trigger."""
        return self in {OrderType.SL, OrderType.SLM}

    @property
    def is_unpriced(self) -> bool:
        """Whether it trades at the market and so needs a protection band."""
        return self in {OrderType.MARKET, OrderType.SLM}


class Validity(StrEnum):
    """For the day, or at once or not at all."""

    DAY = "DAY"
    IOC = "IOC"


class Variety(StrEnum):
    """Regular, or after market hours."""

    REGULAR = "regular"
    AMO = "amo"


class Status(StrEnum):
    """Kite's order statuses."""

    RECEIVED = "PUT ORDER REQ RECEIVED"
    VALIDATION_PENDING = "VALIDATION PENDING"
    OPEN_PENDING = "OPEN PENDING"
    OPEN = "OPEN"
    TRIGGER_PENDING = "TRIGGER PENDING"
    MODIFY_VALIDATION_PENDING = "MODIFY VALIDATION PENDING"
    MODIFY_PENDING = "MODIFY PENDING"
    MODIFIED = "MODIFIED"
    NOT_MODIFIED = "NOT MODIFIED"
    CANCEL_PENDING = "CANCEL PENDING"
    AMO_RECEIVED = "AMO REQ RECEIVED"
    COMPLETE = "COMPLETE"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"

    @property
    def is_final(self) -> bool:
        """Whether nothing can happen to the order any more."""
        return not TRANSITIONS[self]

    @property
    def is_resting(self) -> bool:
        """Whether the order stands in the book and can be changed."""
        return self in {Status.OPEN, Status.TRIGGER_PENDING, Status.AMO_RECEIVED}


TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.RECEIVED: frozenset({Status.VALIDATION_PENDING, Status.AMO_RECEIVED}),
    Status.AMO_RECEIVED: frozenset(
        {Status.VALIDATION_PENDING, Status.MODIFY_VALIDATION_PENDING, Status.CANCEL_PENDING, Status.CANCELLED},
    ),
    Status.VALIDATION_PENDING: frozenset({Status.OPEN_PENDING, Status.REJECTED}),
    Status.OPEN_PENDING: frozenset({Status.OPEN, Status.TRIGGER_PENDING}),
    Status.TRIGGER_PENDING: frozenset(
        {Status.OPEN, Status.MODIFY_VALIDATION_PENDING, Status.CANCEL_PENDING, Status.CANCELLED},
    ),
    Status.OPEN: frozenset(
        {Status.OPEN, Status.COMPLETE, Status.MODIFY_VALIDATION_PENDING, Status.CANCEL_PENDING, Status.CANCELLED},
    ),
    Status.MODIFY_VALIDATION_PENDING: frozenset({Status.MODIFY_PENDING}),
    Status.MODIFY_PENDING: frozenset({Status.MODIFIED, Status.NOT_MODIFIED}),
    Status.MODIFIED: frozenset({Status.OPEN, Status.TRIGGER_PENDING, Status.AMO_RECEIVED}),
    Status.NOT_MODIFIED: frozenset({Status.OPEN, Status.TRIGGER_PENDING, Status.AMO_RECEIVED}),
    Status.CANCEL_PENDING: frozenset(
        {Status.CANCELLED, Status.OPEN, Status.TRIGGER_PENDING, Status.AMO_RECEIVED},
    ),
    Status.COMPLETE: frozenset(),
    Status.CANCELLED: frozenset(),
    Status.REJECTED: frozenset(),
}
"""The order's state machine. A step that is not here is a bug and raises."""


class Step(NamedTuple):
    """One line of an order's history: what it looked like when it took this status."""

    status: Status
    at: datetime
    quantity: int
    price_paise: int
    trigger_price_paise: int
    filled: int
    value_paise: int
    message: str | None


@dataclass(slots=True)
class Order:
    """One broker order. ``price_paise`` is what it matches against: its limit, or its protection band; 0 = any.

    ``rendered`` is the edge's last rendering of the order, with the revision it shows.
    """

    order_id: str
    api_key: str
    user_id: str
    instrument: Instrument
    variety: Variety
    side: Side
    product: Product
    order_type: OrderType
    quantity: int
    price_paise: int
    trigger_price_paise: int
    validity: Validity
    disclosed_quantity: int
    market_protection: Decimal
    tag: str | None
    tags: tuple[str, ...]
    placed_at: datetime
    updated_at: datetime
    parent_order_id: str | None = None
    visible_at: datetime | None = None
    fill_cap: int | None = None
    exchange_at: datetime | None = None
    status: Status = Status.RECEIVED
    message: str | None = None
    filled: int = 0
    value_paise: int = 0
    charges_paise: int = 0
    blocked_paise: int = 0
    modifications: int = 0
    is_triggered: bool = False
    revision: int = 0
    history: list[Step] = field(default_factory=list)
    trades: list["Trade"] = field(default_factory=list)
    rendered: tuple[int, bytes] | None = None

    @property
    def remaining(self) -> int:
        """Quantity not yet traded."""
        return self.quantity - self.filled

    @property
    def exchange_order_id(self) -> str | None:
        """The exchange's id, known once the exchange has seen the order."""
        return f"1{int(self.order_id) % 10**15:015d}" if self.exchange_at else None

    @property
    def rest_status(self) -> Status:
        """How the order stands in the book once a change to it is settled."""
        if self.exchange_at is None and self.variety is Variety.AMO:
            return Status.AMO_RECEIVED
        return Status.TRIGGER_PENDING if self.order_type.is_stop and not self.is_triggered else Status.OPEN

    def step(self, status: Status, at: datetime, message: str | None = None) -> None:
        """Take ``status``; ``ValueError`` when the state machine has no such step."""
        if self.history and status not in TRANSITIONS[self.status]:
            raise ValueError(f"{self.order_id}: {self.status} to {status}")
        self.status, self.updated_at = status, at
        self.message = message if message is not None else self.message
        if status in {Status.OPEN, Status.TRIGGER_PENDING} and self.exchange_at is None:
            self.exchange_at = at
        self.note(status, at)

    def note(self, status: Status, at: datetime) -> None:
        """Add a line to the history."""
        self.revision += 1
        self.history.append(
            Step(
                status,
                at,
                self.quantity,
                self.price_paise,
                self.trigger_price_paise,
                self.filled,
                self.value_paise,
                self.message,
            ),
        )


@dataclass(frozen=True, slots=True)
class Trade:
    """One fill."""

    trade_id: str
    order: Order
    quantity: int
    price_paise: int
    at: datetime


@dataclass(slots=True)
class Position:
    """One instrument and product: what was carried over (signed, with its value) and what the day did."""

    instrument: Instrument
    product: Product
    overnight: int = 0
    overnight_value_paise: int = 0
    buys: int = 0
    buy_value_paise: int = 0
    sells: int = 0
    sell_value_paise: int = 0

    @property
    def quantity(self) -> int:
        """Net quantity, negative when short."""
        return self.overnight + self.buys - self.sells

    @property
    def short_value_paise(self) -> int:
        """What a short position was sold for; 0 when long or flat, and for deliveries, which shares cover."""
        if self.quantity >= 0 or self.product is Product.CNC:
            return 0
        sold = self.sells + max(-self.overnight, 0)
        value = self.sell_value_paise + (self.overnight_value_paise if self.overnight < 0 else 0)
        return round_half_up(value * -self.quantity, sold)

    def add(self, side: Side, quantity: int, value_paise: int) -> None:
        """Count a trade of the day (negative to take one out, as a conversion does)."""
        if side is Side.BUY:
            self.buys += quantity
            self.buy_value_paise += value_paise
        else:
            self.sells += quantity
            self.sell_value_paise += value_paise


@dataclass(slots=True)
class Holding:
    """Delivered shares, those on their way by settlement day, and what they cost."""

    instrument: Instrument
    settled: int = 0
    cost_paise: int = 0
    arriving: dict[date, int] = field(default_factory=dict)

    @property
    def quantity(self) -> int:
        """All shares held when the day began."""
        return self.settled + sum(self.arriving.values())

    def settle(self, today: date) -> None:
        """Deliver what is due by ``today``."""
        for day in [day for day in self.arriving if day <= today]:
            self.settled += self.arriving.pop(day)

    def add(self, quantity: int, cost_paise: int, settles_on: date | None) -> None:
        """Take in shares, at once (``None``) or by a later day."""
        self.cost_paise += cost_paise
        if settles_on is None:
            self.settled += quantity
        else:
            self.arriving[settles_on] = self.arriving.get(settles_on, 0) + quantity

    def remove(self, quantity: int) -> None:
        """Give up shares sold: delivered ones first; cost leaves in proportion."""
        self.cost_paise -= round_half_up(self.cost_paise * quantity, self.quantity)
        from_settled = min(quantity, self.settled)
        self.settled -= from_settled
        rest = quantity - from_settled
        for day in sorted(self.arriving):
            taken = min(rest, self.arriving[day])
            self.arriving[day] -= taken
            rest -= taken
        self.arriving = {day: left for day, left in self.arriving.items() if left}


@dataclass(frozen=True, slots=True)
class Session:
    """A login. The access token dies at the next 06:00 IST, or when it is taken away."""

    api_key: str
    access_token: str
    refresh_token: str
    public_token: str
    login_at: datetime
    expires_at: datetime


@dataclass(slots=True)
class Account:
    """One broker account: cash in paise and everything booked on it."""

    api_key: str
    user_id: str
    cash_paise: int = 0
    opening_paise: int = 0
    blocked_paise: int = 0
    orders: dict[str, Order] = field(default_factory=dict)
    trades: list[Trade] = field(default_factory=list)
    positions: dict[tuple[str, Product], Position] = field(default_factory=dict)
    holdings: dict[str, Holding] = field(default_factory=dict)
    promised: dict[str, int] = field(default_factory=dict)
    dp_charged: set[str] = field(default_factory=set)
    refs: set[str] = field(default_factory=set)
    sessions: dict[str, Session] = field(default_factory=dict)
    requests_today: int = 0

    @property
    def available_paise(self) -> int:
        """Cash no open order or short position has a claim on."""
        return self.cash_paise - self.blocked_paise

    def position(self, instrument: Instrument, product: Product) -> Position:
        """The position, made when there is none."""
        key = (instrument.key, product)
        if key not in self.positions:
            self.positions[key] = Position(instrument, product)
        return self.positions[key]

    def net_quantity(self, key: str, product: Product) -> int:
        """Net quantity of a position; 0 when there is none."""
        position = self.positions.get((key, product))
        return position.quantity if position else 0

    def held_quantity(self, key: str) -> int:
        """Shares held when the day began."""
        holding = self.holdings.get(key)
        return holding.quantity if holding else 0

    def sellable_quantity(self, key: str) -> int:
        """Shares a delivery sale may still promise."""
        return self.held_quantity(key) + self.net_quantity(key, Product.CNC) - self.promised.get(key, 0)
