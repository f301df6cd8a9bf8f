"""The facts services tell one another: frozen, past tense, versioned. Their schemas are kept under diff in docs/events.

An event travels inside a `Message`: one outbox row, one packet on the bus, carrying many events of one kind. What a
message carries never changes after it was written, so redelivery repeats it exactly. Amounts are paise, quantities
whole units of the instrument's ``quantity_step``, instruments ``EXCHANGE:SYMBOL``, instants UTC.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from types import GenericAlias
from typing import Any, ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from saras_common.ids import new_id
from saras_common.jsonio import dumps

Side = Literal["BUY", "SELL"]
OrderType = Literal["MARKET", "LIMIT", "SL", "SL-M"]
Product = Literal["CNC", "MIS", "NRML"]
Validity = Literal["DAY", "IOC"]
OrderStatus = Literal["ACCEPTED", "QUEUED", "WORKING", "PARTIALLY_FILLED", "FILLED", "CANCELLED", "REJECTED", "EXPIRED"]

MAX_EVENTS_A_MESSAGE = 1000


class Part(BaseModel):
    """A piece of an event."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Event(Part):
    """One fact. ``id`` is what consumers remember so that a second delivery changes nothing."""

    type: ClassVar[str]

    id: UUID = Field(default_factory=new_id)
    at: datetime
    request_id: str | None = None


# --- people -----------------------------------------------------------------------------------------------------


class UserChanged(Event):
    """A user was registered, or its status, roles or KYC changed; carries the state after the change."""

    type: ClassVar[str] = "user.changed.v1"

    user_id: UUID
    version: int = Field(description="Grows with each change of this user; an older one is ignored.")
    email: str
    full_name: str
    status: Literal["active", "disabled"]
    roles: list[str]
    kyc_status: Literal["none", "pending", "approved", "rejected"]


class UserLoggedIn(Event):
    """Somebody signed in."""

    type: ClassVar[str] = "user.logged_in.v1"

    user_id: UUID
    session_id: UUID
    new_device: bool
    address: str
    agent: str


# --- the book ---------------------------------------------------------------------------------------------------


class FundsMoved(Event):
    """Cash entered (> 0) or left (< 0) a user's account; the broker account must move by as much."""

    type: ClassVar[str] = "funds.moved.v1"

    movement_id: UUID
    user_id: UUID
    account_id: str
    amount_paise: int


class OrderAccepted(Event):
    """An order is in the book with its hold; the executor may work it."""

    type: ClassVar[str] = "order.accepted.v1"

    order_id: UUID
    user_id: UUID
    account_id: str
    instrument: str
    side: Side
    order_type: OrderType
    product: Product
    validity: Validity
    quantity: int
    price_paise: int | None = None
    trigger_price_paise: int | None = None
    cap_price_paise: int | None = Field(
        default=None, description="A buy's hold covers fills up to this price; the executor sends nothing beyond it."
    )
    house: bool = Field(default=False, description="The operator's own order: filled after every client is whole.")


class CancelRequested(Event):
    """The user wants the rest of an order cancelled."""

    type: ClassVar[str] = "order.cancel_requested.v1"

    order_id: UUID
    account_id: str


class OrderUpdated(Event):
    """A user's order changed state in the book: what notifications, streams and analytics follow."""

    type: ClassVar[str] = "order.updated.v1"

    order_id: UUID
    user_id: UUID
    instrument: str
    side: Side
    product: Product
    quantity: int
    status: OrderStatus
    status_reason: str | None = None
    filled_quantity: int
    filled_value_paise: int
    charges_paise: int
    basket_id: UUID | None = None
    batch_id: UUID | None = None


class BookTotalsRequested(Event):
    """The executor wants the book's totals for a reconciliation."""

    type: ClassVar[str] = "book.totals_requested.v1"

    reconciliation_id: UUID
    account_id: str


class BookTotalled(Event):
    """The book's totals for one broker account, all in one snapshot."""

    type: ClassVar[str] = "book.totalled.v1"

    reconciliation_id: UUID
    account_id: str
    users: dict[str, int] = Field(description="Shares of all users by instrument, every product together.")
    suspense: dict[str, int] = Field(description="Shares nobody owns, by instrument.")
    applied: dict[str, int] = Field(description="Net shares ever posted from fills, by instrument.")
    users_cash_paise: int
    suspense_cash_paise: int
    applied_cash_paise: int = Field(description="Net cash ever posted from fills, charges included (buys < 0).")
    external_cash_paise: int = Field(description="Deposits less withdrawals ever posted.")


# --- the executor -----------------------------------------------------------------------------------------------


class OrderProgressed(Event):
    """Orders moved without a fill: taken into a window, sent, refused, cancelled or expired."""

    type: ClassVar[str] = "order.progressed.v1"

    order_ids: list[UUID]
    status: Literal["QUEUED", "WORKING", "CANCELLED", "REJECTED", "EXPIRED"]
    reason: str | None = None
    batch_id: UUID | None = None
    block_id: UUID | None = None


class Allocation(Part):
    """One order's part of a posting: what is new since the last one."""

    order_id: UUID
    user_id: UUID
    quantity: int = Field(description="New units: > 0 for fills, 0 for a true-up, < 0 for a bust.")
    value_paise: int = Field(description="Trade value of this part, >= 0 for fills; a true-up may have either sign.")
    charges: tuple[int, int, int, int, int, int, int] = Field(description="Paise in the order of charges.KINDS.")


class AllocationPosted(Event):
    """Fills of a block shared out. Postings of a block come in order and are never edited; corrections are new ones."""

    type: ClassVar[str] = "allocation.posted.v1"

    account_id: str
    batch_id: UUID
    block_id: UUID
    instrument: str
    side: Side
    product: Product
    kind: Literal["fill", "true_up", "bust"]
    traded_at: datetime
    allocations: list[Allocation] = Field(max_length=MAX_EVENTS_A_MESSAGE)
    suspense_quantity: int = Field(default=0, description="Units of these fills that belong to no order.")
    suspense_value_paise: int = Field(default=0, description="Value not (yet) carried by any order; trued up later.")
    suspense_charges_paise: int = 0


class SuspenseFound(Event):
    """The broker account holds or lost something no order of ours explains; it goes to suspense, never to a user."""

    type: ClassVar[str] = "suspense.found.v1"

    account_id: str
    instrument: str
    quantity: int
    value_paise: int
    charges_paise: int = 0
    reason: str


class Listing(Part):
    """One tradable instrument as the broker lists it."""

    instrument: str
    token: int
    name: str
    tick_paise: int
    lot_size: int
    kind: str = "EQ"


class InstrumentsListed(Event):
    """The broker's instrument list, a part of it."""

    type: ClassVar[str] = "instrument.listed.v1"

    listings: list[Listing]


class Mark(Part):
    """A last price."""

    instrument: str
    last_paise: int
    close_paise: int | None = Field(default=None, description="Previous session's close.")


class MarksChanged(Event):
    """Last prices that changed, as of ``at``."""

    type: ClassVar[str] = "mark.changed.v1"

    marks: list[Mark]


class InstrumentsBlocked(Event):
    """Buys in these instruments are stopped (or again allowed) because suspense holds something unexplained."""

    type: ClassVar[str] = "instrument.blocked.v1"

    account_id: str
    instruments: list[str]
    blocked: bool


class ExecutionStateChanged(Event):
    """The kill switch, the broker's session or the market changed for one broker account."""

    type: ClassVar[str] = "execution.state_changed.v1"

    account_id: str
    state: Literal["halted", "resumed", "login_needed", "logged_in"]
    reason: str | None = None


class ReconciliationCompleted(Event):
    """The books and the broker were compared."""

    type: ClassVar[str] = "reconciliation.completed.v1"

    account_id: str
    reconciliation_id: UUID
    balanced: bool


EVENT_TYPES: dict[str, type[Event]] = {
    cls.type: cls
    for cls in (
        UserChanged,
        UserLoggedIn,
        FundsMoved,
        OrderAccepted,
        CancelRequested,
        OrderUpdated,
        BookTotalsRequested,
        BookTotalled,
        OrderProgressed,
        AllocationPosted,
        SuspenseFound,
        InstrumentsListed,
        MarksChanged,
        InstrumentsBlocked,
        ExecutionStateChanged,
        ReconciliationCompleted,
    )
}

SUBSCRIPTIONS: dict[str, frozenset[str]] = {
    "trade-executor": frozenset({OrderAccepted.type, CancelRequested.type, FundsMoved.type, BookTotalled.type}),
    "portfolio-service": frozenset(
        {
            UserChanged.type,
            AllocationPosted.type,
            SuspenseFound.type,
            OrderProgressed.type,
            BookTotalsRequested.type,
            InstrumentsBlocked.type,
        }
    ),
    "portfolio-service.market": frozenset({InstrumentsListed.type, MarksChanged.type}),
}
"""Which queue receives which kinds: the whole topology. An event nobody subscribes to is not stored."""


@dataclass(frozen=True, slots=True)
class Message:
    """Many events of one kind, as stored in an outbox and carried by a bus. ``body`` is a JSON array."""

    id: UUID
    type: str
    body: bytes
    count: int


def _adapter(cls: type[Event]) -> TypeAdapter[Any]:
    many: Any = GenericAlias(list, (cls,))
    return TypeAdapter(many)


_ADAPTERS: dict[str, TypeAdapter[Any]] = {kind: _adapter(cls) for kind, cls in EVENT_TYPES.items()}


def queues_of(kind: str) -> list[str]:
    """The queues an event of this kind goes to."""
    return [queue for queue, kinds in SUBSCRIPTIONS.items() if kind in kinds]


def pack(events: Iterable[Event]) -> Iterator[Message]:
    """Messages of at most `MAX_EVENTS_A_MESSAGE` events, in order; neighbours of one kind share a message."""
    for kind, run in groupby(events, key=lambda event: event.type):
        if not queues_of(kind):
            continue
        same = list(run)
        for start in range(0, len(same), MAX_EVENTS_A_MESSAGE):
            part = same[start : start + MAX_EVENTS_A_MESSAGE]
            yield Message(new_id(), kind, _ADAPTERS[kind].dump_json(part), len(part))


def pack_rows(cls: type[Event], rows: Sequence[Mapping[str, Any]]) -> Iterator[Message]:
    """`pack` for hot paths: events of one kind given as plain mappings, fields complete, ``id`` and ``at`` included.

    Nothing is validated here; the consumer does that.
    """
    if not queues_of(cls.type):
        return
    for start in range(0, len(rows), MAX_EVENTS_A_MESSAGE):
        part = rows[start : start + MAX_EVENTS_A_MESSAGE]
        yield Message(new_id(), cls.type, dumps(part), len(part))


def unpack(message: Message) -> Sequence[Event]:
    """The events of ``message``; ``ValueError`` when it is of an unknown kind or does not fit its schema."""
    adapter = _ADAPTERS.get(message.type)
    if adapter is None:
        raise ValueError(f"unknown event type {message.type[:64]!r}")
    events: list[Event] = adapter.validate_json(message.body)
    return events
