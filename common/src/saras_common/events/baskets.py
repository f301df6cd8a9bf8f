"""What baskets do."""

from datetime import date
from typing import ClassVar, Literal
from uuid import UUID

from pydantic import Field

from saras_common.events.base import Event


class BasketRunChanged(Event):
    """A run on a user's basket (invest, add, exit, rebalance, repair, SIP) reached a new state."""

    type: ClassVar[str] = "basket.run_changed.v1"

    run_id: UUID
    user_id: UUID
    smallcase_id: UUID
    name: str
    kind: Literal["invest", "add", "exit", "rebalance", "repair", "sip"]
    status: Literal["QUEUED", "SELLING", "BUYING", "COMPLETED", "COMPLETED_ADJUSTED", "FAILED", "CANCELLED"]
    reason: str | None = None
    spent_paise: int = 0
    received_paise: int = 0
    unspent_paise: int = 0


class RebalanceOffered(Event):
    """An investor's basket is away from its target, or has a newer version; nothing is traded without consent."""

    type: ClassVar[str] = "basket.rebalance_offered.v1"

    user_id: UUID
    smallcase_id: UUID
    name: str
    cause: Literal["version", "drift", "calendar"]
    version: int
    drift: str = Field(description="Largest distance of a weight from its target, a decimal fraction.")


class SipSkipped(Event):
    """An instalment was not invested, and why."""

    type: ClassVar[str] = "basket.sip_skipped.v1"

    sip_id: UUID
    user_id: UUID
    smallcase_id: UUID
    name: str
    due_on: date
    reason: str
