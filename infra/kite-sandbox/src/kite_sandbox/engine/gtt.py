"""Good-till-triggered orders: kept for a year, and turned into a LIMIT order when the price gets there."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from kite_sandbox.engine.records import GttSaved

ACTIVE = "active"
LEGS = {"single": 1, "two-leg": 2}
"""Kinds, and how many triggers and orders each has."""


@dataclass(slots=True)
class Gtt:
    """``single`` has one trigger and one order, ``two-leg`` a lower and an upper one. Prices in paise."""

    api_key: str
    trigger_id: int
    trigger_type: str
    status: str
    instrument: str
    last_price_paise: int
    trigger_values_paise: list[int]
    orders: list[dict[str, Any]]
    created_at: datetime
    updated_at: datetime
    expires_at: datetime

    @classmethod
    def from_record(cls, record: GttSaved) -> Self:
        """The order a record holds."""
        return cls(
            api_key=record.api_key,
            trigger_id=record.trigger_id,
            trigger_type=record.trigger_type,
            status=record.status,
            instrument=record.instrument,
            last_price_paise=record.last_price_paise,
            trigger_values_paise=record.trigger_values_paise,
            orders=record.orders,
            created_at=record.created_at,
            updated_at=record.at,
            expires_at=record.expires_at,
        )

    def reached_leg(self, last_paise: int) -> int | None:
        """Index of the leg whose trigger ``last_paise`` has reached, or ``None``."""
        if self.trigger_type == "two-leg":
            lower, upper = self.trigger_values_paise
            if last_paise <= lower:
                return 0
            return 1 if last_paise >= upper else None
        trigger = self.trigger_values_paise[0]
        is_above = trigger > self.last_price_paise
        return 0 if (last_paise >= trigger if is_above else last_paise <= trigger) else None
