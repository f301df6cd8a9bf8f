"""Prices and trades over time."""

from datetime import date, datetime
from typing import ClassVar
from uuid import UUID

from pydantic import Field

from saras_common.events.base import MAX_EVENTS_A_MESSAGE, Event, Part, Side


class DayPrice(Part):
    """One instrument's day, as traded: not adjusted for splits and bonuses."""

    instrument: str
    day: date
    open_paise: int
    high_paise: int
    low_paise: int
    close_paise: int
    volume: int | None = None


class DayPricesRecorded(Event):
    """Daily prices that are now known, from the close of a session or an import; a later one replaces an earlier."""

    type: ClassVar[str] = "price.day_recorded.v1"

    prices: list[DayPrice] = Field(max_length=MAX_EVENTS_A_MESSAGE)


class CorporateAction(Part):
    """A split or bonus: from ``ex_day`` on, one old share is ``ratio`` new ones."""

    instrument: str
    ex_day: date
    ratio: str = Field(description='New shares per old one, a decimal: "2" for a 1:1 bonus.')


class CorporateActionsRecorded(Event):
    """Splits and bonuses that are now known."""

    type: ClassVar[str] = "price.corporate_actions_recorded.v1"

    actions: list[CorporateAction]


class InstrumentFacts(Part):
    """What a broker's instrument list does not say."""

    instrument: str
    sector: str
    shares_issued: int | None = None


class InstrumentsDescribed(Event):
    """Sector and issued shares of instruments, now known or changed."""

    type: ClassVar[str] = "instrument.described.v1"

    facts: list[InstrumentFacts]


class TradeRecorded(Event):
    """A user recorded a trade done elsewhere; it moves neither cash nor shares of the book."""

    type: ClassVar[str] = "trade.recorded.v1"

    trade_id: UUID
    user_id: UUID
    instrument: str
    side: Side
    quantity: int
    price_paise: int
    traded_at: datetime
