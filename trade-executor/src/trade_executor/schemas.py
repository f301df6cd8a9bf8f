"""What the administrator's pages and the market's readers exchange over HTTP."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from saras_common.schemas import Answer, InstrumentName, Paise, Rupees, Strict, Text


class HaltRequest(Strict):
    reason: Text


class SessionRequest(Strict):
    request_token: str = Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9]+$")


class MarkPriceRequest(Strict):
    instrument: InstrumentName
    price: Rupees


class ClearRequest(Strict):
    instruments: list[InstrumentName] = Field(min_length=1, max_length=500)


class ResolveRequest(Strict):
    """What a person found out about an order left to a person."""

    tag: str = Field(min_length=20, max_length=20, pattern=r"^[a-z0-9]+$")
    placed: bool


class SessionView(Answer):
    state: str
    expires_at: datetime | None


class WindowView(Answer):
    id: UUID | None
    orders: int
    opened_at: datetime | None
    closes_at: datetime | None


class LeaderView(Answer):
    holder: UUID | None
    epoch: int | None


class AccountView(Answer):
    id: str
    broker_session: SessionView
    window: WindowView
    queue_depth: int
    halted: bool
    halt_reason: str | None
    leader: LeaderView
    intents: dict[str, int]
    blocked_instruments: list[str]


class ExecutionView(AccountView):
    """The first account's figures, and every account's under ``accounts``."""

    mode: str
    market_open: bool
    accounts: list[AccountView]


class RunAnswer(Answer):
    batch_id: UUID | None


class SavedView(Answer):
    orders: int
    rupees: Paise
    seconds: float


class AllocationView(Answer):
    order_id: UUID
    user_id: UUID
    requested: int
    allocated: int
    credit: str


class BlockView(Answer):
    id: UUID
    instrument: str
    side: str
    product: str
    order_type: str
    status: str
    reason: str | None
    quantity: int
    filled_quantity: int
    average_price: str | None
    value: Paise
    charges: Paise
    broker_order_ids: list[str]
    allocations: list[AllocationView]


class BatchView(Answer):
    id: UUID
    account_id: str
    status: str
    reason: str | None
    opened_at: datetime
    closed_at: datetime | None
    finished_at: datetime | None
    user_orders: int
    broker_orders: int
    saved: SavedView
    blocks: list[BlockView]


class CertificatesView(Answer):
    batch_id: UUID
    verified: bool
    certificates: list[dict[str, Any]]


class ReconciledInstrument(Answer):
    instrument: str
    users: int
    unallocated: int
    broker: int
    difference: int


class ReconciledCash(Answer):
    users: Paise
    unallocated: Paise
    broker: Paise
    difference: Paise


class ReconciliationView(Answer):
    balanced: bool
    at: datetime | None
    instruments: list[ReconciledInstrument]
    cash: ReconciledCash
    account_id: str


class LoginUrl(Answer):
    url: str


class LoggedIn(Answer):
    state: str


class Cleared(Answer):
    cleared: list[str]


class InstrumentView(Answer):
    instrument: str
    name: str
    tick_size: Paise
    lot_size: int
    kind: str


class QuoteView(Answer):
    instrument: str
    last_price: Paise
    close_price: Paise | None
    at: datetime


class QuotesView(Answer):
    items: list[QuoteView]


class MarkPriceView(Answer):
    instrument: str
    price: Paise
