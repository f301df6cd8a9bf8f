"""The executor's nouns: what is stored, with its states and the moves between them. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from fractions import Fraction
from typing import Any, NamedTuple
from uuid import UUID

from saras_common.errors import Conflict

NO_CHARGES = (0, 0, 0, 0, 0, 0, 0)
"""A row of `saras_common.charges.KINDS`, all nought."""


class BatchState(StrEnum):
    """A window and what became of it."""

    OPEN = "OPEN"
    CLOSED = "CLOSED"
    WORKING = "WORKING"
    DONE = "DONE"


class BlockState(StrEnum):
    """A block works until its broker orders have ended and everyone stands at the one price."""

    WORKING = "WORKING"
    DONE = "DONE"


class IntentState(StrEnum):
    """What we know of one broker order we mean to place."""

    PLANNED = "PLANNED"
    """Decided, nothing sent."""
    SENDING = "SENDING"
    """Committed before the call; after a crash this means "perhaps"."""
    SENT = "SENT"
    """The broker answered with an order id."""
    UNKNOWN = "UNKNOWN"
    """The call may have placed it: looked for by tag, never sent again meanwhile."""
    ADOPTED = "ADOPTED"
    """Found in the broker's order book by tag."""
    ABSENT_CONFIRMED = "ABSENT_CONFIRMED"
    """Three clean readings of the order book did not hold it."""
    OPERATOR = "OPERATOR"
    """Something with our tag that is not what we meant: a person decides."""
    REFUSED = "REFUSED"
    """A definite no."""
    WITHDRAWN = "WITHDRAWN"
    """Not wanted any more before it was sent."""

    @property
    def is_placed(self) -> bool:
        """The broker has this order."""
        return self in {IntentState.SENT, IntentState.ADOPTED}

    @property
    def is_in_doubt(self) -> bool:
        """The broker may have it."""
        return self in {IntentState.SENDING, IntentState.UNKNOWN, IntentState.OPERATOR}


TRANSITIONS: dict[IntentState, frozenset[IntentState]] = {
    IntentState.PLANNED: frozenset({IntentState.SENDING, IntentState.WITHDRAWN}),
    IntentState.SENDING: frozenset(
        {IntentState.SENT, IntentState.UNKNOWN, IntentState.REFUSED, IntentState.PLANNED, IntentState.ADOPTED}
    ),
    IntentState.SENT: frozenset(),
    IntentState.UNKNOWN: frozenset({IntentState.ADOPTED, IntentState.ABSENT_CONFIRMED, IntentState.OPERATOR}),
    IntentState.ADOPTED: frozenset(),
    IntentState.ABSENT_CONFIRMED: frozenset({IntentState.ADOPTED}),
    IntentState.OPERATOR: frozenset({IntentState.ADOPTED, IntentState.ABSENT_CONFIRMED}),
    IntentState.REFUSED: frozenset(),
    IntentState.WITHDRAWN: frozenset(),
}


class IllegalMove(Conflict):
    """An intent was asked to make a move its state does not allow: a fault of ours, stopped here."""

    code = "illegal_move"


class Demand(NamedTuple):
    """A user's order as the executor keeps it. ``arrival`` counts demands as they came in."""

    order_id: UUID
    user_id: UUID
    account_id: str
    batch_id: UUID
    instrument: str
    side: str
    order_type: str
    product: str
    validity: str
    quantity: int
    price_paise: int | None
    trigger_price_paise: int | None
    cap_price_paise: int | None
    house: bool
    arrival: int


class BlockKey(NamedTuple):
    """Orders that agree in all of this may share a broker order."""

    instrument: str
    side: str
    product: str
    order_type: str
    validity: str
    price_paise: int | None
    trigger_price_paise: int | None


@dataclass(frozen=True, slots=True)
class Account:
    """One broker account and what stops it from sending."""

    id: str
    halted: bool = False
    halt_reason: str | None = None
    logged_in: bool = False
    session_version: int = 0
    blocked: frozenset[str] = frozenset()
    """Instruments whose buys are stopped."""
    opening_cash_paise: int | None = None
    """Cash the account held before anything of ours; unknown until the first look."""

    @property
    def may_send(self) -> bool:
        return self.logged_in and not self.halted


@dataclass(frozen=True, slots=True)
class Batch:
    """A window of orders and, once closed, the blocks made of it."""

    id: UUID
    account_id: str
    state: BatchState
    opened_at: datetime
    user_orders: int = 0
    reason: str | None = None
    closed_at: datetime | None = None
    finished_at: datetime | None = None
    broker_orders: int = 0
    saved_paise: int = 0


@dataclass(frozen=True, slots=True)
class Block:
    """Orders consolidated: the pre-trade statement's head and where its fills stand.

    ``quantity`` is fixed when the block is planned. ``value_paise`` and ``charges`` are the broker's, cumulative;
    the ``posted_…`` are what the book was told so far, suspense included.
    """

    id: UUID
    batch_id: UUID
    account_id: str
    key: BlockKey
    quantity: int
    statement_hash: str
    state: BlockState = BlockState.WORKING
    filled: int = 0
    value_paise: int = 0
    charges: tuple[int, ...] = NO_CHARGES
    suspense_quantity: int = 0
    suspense_value_paise: int = 0
    suspense_charges_paise: int = 0
    first_fill_on: date | None = None
    steps: tuple[tuple[int, tuple[int, ...], tuple[int, ...]], ...] = ()
    """Each sharing-out: lots filled, rows frozen and rows told their end by then.

    With the statement this recomputes the result.
    """
    working_told: bool = False
    reason: str | None = None

    @property
    def is_buy(self) -> bool:
        return self.key.side == "BUY"


@dataclass(frozen=True, slots=True)
class Intent:
    """One broker order we mean to place for a block. The tag is the only handle on it until its id is known."""

    id: UUID
    block_id: UUID
    account_id: str
    attempt: int
    tag: str
    quantity: int
    state: IntentState = IntentState.PLANNED
    epoch: int = 0
    sending_at: datetime | None = None
    broker_order_id: str | None = None
    clean_reads: int = 0
    clean_since: datetime | None = None
    not_before: datetime | None = None
    reason: str | None = None
    late: bool = False
    """Appeared after it was declared absent."""

    def moved(self, to: IntentState, **changes: object) -> "Intent":
        """This intent in another state; `IllegalMove` when the table has no such row."""
        if to not in TRANSITIONS[self.state]:
            raise IllegalMove(f"{self.state} cannot become {to}")
        return replace(self, state=to, **changes)  # type: ignore[arg-type] # field names are checked by replace


class OrderEnd(StrEnum):
    """How a broker order ended; an order without an end is still alive, whatever its status is called."""

    COMPLETE = "COMPLETE"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"


@dataclass(frozen=True, slots=True)
class BrokerOrder:
    """An order in the broker's book, as last read, joined to the intent that placed it."""

    account_id: str
    broker_order_id: str
    intent_id: UUID
    block_id: UUID
    quantity: int
    placed_on: date
    filled: int = 0
    """Filled as the order book says; may run ahead of the trades read."""
    traded: int = 0
    """Filled as the trades read say."""
    traded_value_paise: int = 0
    status: str = "PUT ORDER REQ RECEIVED"
    end: OrderEnd | None = None
    message: str | None = None
    modifications: int = 0
    cut_to: int | None = None
    """The quantity last asked of the broker; 0 for a cancellation."""
    cut_at: datetime | None = None

    @property
    def is_settled(self) -> bool:
        """Ended, and every fill it reports has been taken in."""
        return self.end is not None and self.traded >= self.filled

    @property
    def committed(self) -> int:
        """Lots this order has bought or may still buy."""
        return max(self.filled, self.traded) if self.end is not None else self.quantity


@dataclass(frozen=True, slots=True)
class Fill:
    """One trade. Unique by account, exchange, trade id and day; a bust is a fill of negative quantity and value."""

    account_id: str
    exchange: str
    trade_id: str
    traded_on: date
    broker_order_id: str
    instrument: str
    side: str
    product: str
    quantity: int
    value_paise: int
    traded_at: datetime
    block_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class CancelRequest:
    """A user wants the rest of an order cancelled; ``batch_state`` is that of the order's window."""

    demand: Demand
    batch_state: BatchState


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to lead an account: fenced by ``epoch`` in the database, by ``deadline`` in this process.

    ``deadline`` counts monotonic seconds and lies before the end the database knows.
    """

    account_id: str
    holder: UUID
    epoch: int
    deadline: float


@dataclass(frozen=True, slots=True)
class BrokerSession:
    """The day's login. ``version`` grows with each; the token is sealed outside the executor's memory."""

    version: int
    sealed_token: bytes
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Movement:
    """Money of a user that entered or left; the sandbox account must move by as much."""

    id: UUID
    account_id: str
    amount_paise: int


@dataclass(frozen=True, slots=True)
class Credit:
    """Lots earlier blocks owe a user in an instrument, exact, and the session they were last touched."""

    user_id: UUID
    lots: Fraction
    touched_on: date


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """Books compared with the broker, as plain JSON.

    ``figures`` holds the executor's and the broker's side as they were read, ``book`` the book's answer, ``report`` the
    comparison.
    """

    id: UUID
    account_id: str
    at: datetime
    figures: Mapping[str, Any]
    book: Mapping[str, Any] | None = None
    report: Mapping[str, Any] | None = None
    finished_at: datetime | None = None
