"""From an execution to a trade of the store: what is checked, and what is added."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from saras_common.calendar import session_on_or_after
from saras_common.charges import order_charges
from saras_common.clock import trading_day

NOBODY = UUID(int=0)
NO_CHARGES = (0, 0, 0, 0, 0, 0, 0)

CLEARING = {"NSE": "NSE Clearing Limited", "BSE": "Indian Clearing Corporation Limited"}
"""Who steps between buyer and seller on each exchange; elsewhere the exchange itself is named."""

CLOCK_SKEW = timedelta(minutes=5)
"""How far ahead of ours the clock of whoever tells a trade may be."""


day_of = lru_cache(4096)(trading_day)
"""`trading_day`, remembered: all parts of a posting were traded at one instant."""


class Source(StrEnum):
    """Where a trade was done: through this platform's broker account, or somewhere else and recorded by its user."""

    PLATFORM = "platform"
    ELSEWHERE = "elsewhere"


class Reason(StrEnum):
    """Why a trade was set aside."""

    MISSING_FIELD = "missing_field"
    NOT_POSITIVE = "not_positive"
    IN_FUTURE = "in_future"
    UNKNOWN_INSTRUMENT = "unknown_instrument"
    PRICE_OUT_OF_RANGE = "price_out_of_range"
    DUPLICATE = "duplicate"


class Execution(NamedTuple):
    """A trade as it was told. ``value_paise`` of a true-up may have either sign; its ``quantity`` is nought."""

    source_id: UUID
    part: int
    source: str
    user_id: UUID
    order_id: UUID
    instrument: str
    product: str
    side: str
    kind: str
    quantity: int
    value_paise: int
    charges: tuple[int, ...]
    traded_at: datetime


class Posting(NamedTuple):
    """Executions told together, row by row, that have everything but order, user and amounts in common."""

    source_id: UUID
    source: str
    instrument: str
    product: str
    side: str
    kind: str
    traded_at: datetime
    parts: Sequence[int]
    user_ids: Sequence[UUID]
    order_ids: Sequence[UUID]
    quantities: Sequence[int]
    values_paise: Sequence[int]
    charges: Sequence[tuple[int, ...]]

    def executions(self) -> list[Execution]:
        """One by one."""
        rows = zip(
            self.parts, self.user_ids, self.order_ids, self.quantities, self.values_paise, self.charges, strict=True
        )
        return [
            Execution(
                self.source_id, part, self.source, user_id, order_id, self.instrument, self.product, self.side,
                self.kind, quantity, value, charges, self.traded_at,
            )
            for part, user_id, order_id, quantity, value, charges in rows
        ]  # fmt: skip


class Enriched(NamedTuple):
    """A posting as it goes into the store."""

    posting: Posting
    settles_on: date
    counterparty: str
    sector: str | None


class Rejection(NamedTuple):
    """An execution that did not pass, and why."""

    execution: Execution
    reason: Reason
    detail: str


class Market(NamedTuple):
    """What is known of the instruments of some executions."""

    sectors: Mapping[str, str | None]
    """Sector by known instrument."""
    ranges: Mapping[tuple[str, date], tuple[int, int]]
    """Lowest and highest price by instrument and day."""
    band_percent: int


def enriched(posting: Posting, market: Market, now: datetime) -> Enriched | None:
    """All of a posting of the platform's own, checked in columns; ``None`` when it is to be looked at one by one."""
    if posting.source != Source.PLATFORM or not posting.product or posting.instrument not in market.sectors:
        return None
    if posting.traded_at > now + CLOCK_SKEW or not all(user_id.int for user_id in posting.user_ids):
        return None
    if posting.kind == "fill" and not _are_fills_sound(posting, market):
        return None
    return _with_facts(posting, market)


def _are_fills_sound(posting: Posting, market: Market) -> bool:
    if min(posting.quantities) <= 0 or min(posting.values_paise) <= 0:
        return False
    known = market.ranges.get((posting.instrument, day_of(posting.traded_at)))
    if known is None:
        return True
    least, most = known[0] * (100 - market.band_percent), known[1] * (100 + market.band_percent)
    pairs = zip(posting.quantities, posting.values_paise, strict=True)
    return all(least * quantity <= 100 * value <= most * quantity for quantity, value in pairs)


def _with_facts(posting: Posting, market: Market) -> Enriched:
    exchange = posting.instrument.partition(":")[0]
    return Enriched(
        posting,
        settlement_day(day_of(posting.traded_at)),
        CLEARING.get(exchange, exchange),
        market.sectors[posting.instrument],
    )


def alone(execution: Execution, charges: tuple[int, ...], market: Market) -> Enriched:
    """One execution that has passed, as a posting of its own."""
    return _with_facts(
        Posting(
            execution.source_id, execution.source, execution.instrument, execution.product, execution.side,
            execution.kind, execution.traded_at, (execution.part,), (execution.user_id,), (execution.order_id,),
            (execution.quantity,), (execution.value_paise,), (charges,),
        ),
        market,
    )  # fmt: skip


Likeness = tuple[Any, ...]


def likeness(execution: Execution) -> Likeness:
    """What two records of one trade done elsewhere have in common."""
    return (
        execution.user_id,
        execution.instrument,
        execution.side,
        execution.quantity,
        execution.value_paise,
        execution.traded_at,
    )


def judge(execution: Execution, market: Market, now: datetime) -> Enriched | Rejection:
    """The enriched trade, or why it is set aside. Whether it is a duplicate is the store's to say."""
    found = _fault(execution, market, now)
    if found is not None:
        return Rejection(execution, *found)
    charges = execution.charges
    if execution.source == Source.ELSEWHERE:
        charges = _usual_charges(execution, day_of(execution.traded_at))
    return alone(execution, charges, market)


@lru_cache(1024)
def settlement_day(day: date) -> date:
    """T+1: the session after the trade's own."""
    return session_on_or_after(session_on_or_after(day) + timedelta(days=1))


def _fault(execution: Execution, market: Market, now: datetime) -> tuple[Reason, str] | None:
    if execution.user_id == NOBODY or not execution.instrument or not execution.product:
        return Reason.MISSING_FIELD, "user, instrument and product are required"
    if execution.kind == "fill" and (execution.quantity <= 0 or execution.value_paise <= 0):
        return Reason.NOT_POSITIVE, "quantity and price must be above nought"
    if execution.traded_at > now + CLOCK_SKEW:
        return Reason.IN_FUTURE, "the trade lies in the future"
    if execution.instrument not in market.sectors:
        return Reason.UNKNOWN_INSTRUMENT, "the broker does not list this instrument"
    if execution.kind == "fill":
        return _price_fault(execution, market)
    return None


def _price_fault(execution: Execution, market: Market) -> tuple[Reason, str] | None:
    """A price far outside what the day saw; a day without prices judges nothing."""
    known = market.ranges.get((execution.instrument, day_of(execution.traded_at)))
    if known is None:
        return None
    low, high = known
    scaled, quantity, band = 100 * execution.value_paise, execution.quantity, market.band_percent
    if low * (100 - band) * quantity <= scaled <= high * (100 + band) * quantity:
        return None
    return Reason.PRICE_OUT_OF_RANGE, f"more than {band} % outside the day's range"


def _usual_charges(execution: Execution, day: date) -> tuple[int, ...]:
    """What a delivery order of this size costs on that day."""
    exchange = execution.instrument.partition(":")[0]
    return order_charges(exchange, "CNC", execution.side, execution.value_paise, day).as_tuple()
