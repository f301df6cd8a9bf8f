"""What the executor says."""

from datetime import datetime
from typing import ClassVar, Literal
from uuid import UUID

from pydantic import Field

from saras_common.events.base import MAX_EVENTS_A_MESSAGE, Event, Part, Product, Side


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
