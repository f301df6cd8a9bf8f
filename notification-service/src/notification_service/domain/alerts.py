"""Prices users wait for."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

MAX_BP = 10_000
"""Basis points in the whole."""


class Condition(StrEnum):
    """``drawdown``: so far below the highest price since the alert was set."""

    ABOVE = "above"
    BELOW = "below"
    DRAWDOWN = "drawdown"


@dataclass(slots=True)
class Alert:
    """Prices in paise; ``fall_bp`` in hundredths of a per cent. It fires once."""

    id: UUID
    user_id: UUID
    instrument: str
    condition: Condition
    price_paise: int | None
    fall_bp: int | None
    peak_paise: int | None
    created_at: datetime
    fired_at: datetime | None = None
    fired_paise: int | None = None

    def see(self, last_paise: int, at: datetime) -> bool:
        """Take note of a price; whether it is the one waited for. A price older than the alert is nobody's."""
        if self.fired_at is not None or at < self.created_at:
            return False
        if self.condition is Condition.DRAWDOWN:
            self.peak_paise = max(last_paise, self.peak_paise or 0)
        if self._reached(last_paise):
            self.fired_at, self.fired_paise = at, last_paise
            return True
        return False

    def _reached(self, last_paise: int) -> bool:
        if self.condition is Condition.DRAWDOWN:
            assert self.peak_paise is not None and self.fall_bp is not None  # noqa: PT018, S101 - a check of the table
            return last_paise * MAX_BP <= self.peak_paise * (MAX_BP - self.fall_bp)
        assert self.price_paise is not None  # noqa: S101 - a check of the table
        return last_paise >= self.price_paise if self.condition is Condition.ABOVE else last_paise <= self.price_paise
