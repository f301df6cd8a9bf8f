"""What happened, as facts. Each record is one line of the journal; the state is their fold and nothing else."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, get_type_hints

from kite_sandbox.engine.model import OrderType, Product, Side, Validity, Variety


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A fact and its instant on the sandbox's clock."""

    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalOpened(Record):
    """First line of a file; ids go on from here so that none is ever given twice."""

    last_order_id: int
    last_trade_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountOpened(Record):
    """An account with its first cash."""

    api_key: str
    user_id: str
    cash_paise: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStarted(Record):
    """A login."""

    api_key: str
    access_token: str
    refresh_token: str
    public_token: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnded(Record):
    """A logout, or a token taken away."""

    api_key: str
    access_token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DayStarted(Record):
    """A new trading day: delivery positions become holdings, the book is empty again."""

    day: date


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionClosed(Record):
    """The market has closed for the day."""

    day: date


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockSet(Record):
    """The sandbox's clock was moved."""

    offset_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PricesSet(Record):
    """Last prices set by hand, in paise."""

    prices: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayReached(Record):
    """A day of the replayed file is over, at these closes."""

    day: date
    prices: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class FundsMoved(Record):
    """Cash paid in (or out, negative)."""

    api_key: str
    amount_paise: int
    ref: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldingAdded(Record):
    """Delivered shares put into (or, negative, taken out of) an account by hand."""

    api_key: str
    instrument: str
    quantity: int
    average_price_paise: int
    ref: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPlaced(Record):
    """An order with an id. ``rejection`` says why it was refused after that."""

    order_id: str
    api_key: str
    instrument: str
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
    tags: list[str]
    parent_order_id: str | None
    visible_at: datetime | None
    fill_cap: int | None
    blocked_paise: int
    is_queued: bool
    rejection: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReleased(Record):
    """An after-market order went to the exchange."""

    order_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderTriggered(Record):
    """A stop order's trigger was reached; it matches at ``price_paise`` from now on."""

    order_id: str
    price_paise: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderModified(Record):
    """New terms for a resting order."""

    order_id: str
    order_type: OrderType
    quantity: int
    price_paise: int
    trigger_price_paise: int
    validity: Validity
    disclosed_quantity: int
    market_protection: Decimal
    tags: list[str]
    blocked_paise: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRefused(Record):
    """The exchange would not modify (or cancel) the order; it stands as it was."""

    order_id: str
    is_cancel: bool
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCancelled(Record):
    """What had not traded is gone: the client asked (``is_requested``), or the exchange dropped it."""

    order_id: str
    is_requested: bool
    message: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFilled(Record):
    """A trade, with what it adds to the order's charges."""

    order_id: str
    trade_id: str
    quantity: int
    price_paise: int
    charges_paise: int
    dp_paise: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FillWithheld(Record):
    """A ``partial`` fault let nothing of the order trade; the next price may."""

    order_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionConverted(Record):
    """Part of a day's position moved to another product, at its average."""

    api_key: str
    instrument: str
    side: Side
    quantity: int
    value_paise: int
    old_product: Product
    new_product: Product


@dataclass(frozen=True, slots=True, kw_only=True)
class GttSaved(Record):
    """A good-till-triggered order in its latest version."""

    api_key: str
    trigger_id: int
    trigger_type: str
    status: str
    instrument: str
    last_price_paise: int
    trigger_values_paise: list[int]
    orders: list[dict[str, Any]]
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class GttDeleted(Record):
    """A good-till-triggered order was taken out."""

    api_key: str
    trigger_id: int


KINDS: dict[str, type[Record]] = {
    "journal_opened": JournalOpened,
    "account_opened": AccountOpened,
    "session_started": SessionStarted,
    "session_ended": SessionEnded,
    "day_started": DayStarted,
    "session_closed": SessionClosed,
    "clock_set": ClockSet,
    "prices_set": PricesSet,
    "replay_reached": ReplayReached,
    "funds_moved": FundsMoved,
    "holding_added": HoldingAdded,
    "order_placed": OrderPlaced,
    "order_released": OrderReleased,
    "order_triggered": OrderTriggered,
    "order_modified": OrderModified,
    "change_refused": ChangeRefused,
    "order_cancelled": OrderCancelled,
    "order_filled": OrderFilled,
    "fill_withheld": FillWithheld,
    "position_converted": PositionConverted,
    "gtt_saved": GttSaved,
    "gtt_deleted": GttDeleted,
}
"""The journal's vocabulary."""

_NAMES = {record_type: name for name, record_type in KINDS.items()}


def _reader(hint: object) -> Callable[[Any], Any]:
    if hint in {datetime, datetime | None}:
        return lambda text: datetime.fromisoformat(text) if text is not None else None
    if hint is date:
        return date.fromisoformat
    if isinstance(hint, type) and (issubclass(hint, StrEnum) or hint is Decimal):
        return hint
    return lambda value: value


_READERS = {
    name: {key: _reader(hint) for key, hint in get_type_hints(record_type).items()}
    for name, record_type in KINDS.items()
}
_FIELDS = {record_type: tuple(item.name for item in fields(record_type)) for record_type in KINDS.values()}


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, date | Decimal):
        return str(value)
    return value


def to_dict(record: Record) -> dict[str, Any]:
    """The record as JSON values, its name under ``kind``."""
    record_type = type(record)
    values = {name: _plain(getattr(record, name)) for name in _FIELDS[record_type]}
    return {"kind": _NAMES[record_type], **values}


def from_dict(values: dict[str, Any]) -> Record:
    """The record a journal line holds; ``KeyError`` or ``TypeError`` when it is none of ours."""
    kind = values.pop("kind")
    readers = _READERS[kind]
    return KINDS[kind](**{key: readers[key](value) for key, value in values.items()})
