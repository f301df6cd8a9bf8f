"""What every event shares, and the words they use."""

from datetime import datetime
from typing import ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from saras_common.ids import new_id

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
