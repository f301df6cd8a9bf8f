"""What the edges work with."""

from dataclasses import dataclass
from datetime import date

from saras_common.clock import Clock, trading_day
from saras_common.db import Database
from saras_common.ids import NewId
from saras_common.outbox import Outbox
from smallcase_service.book import Book
from smallcase_service.domain.validation import Limits


@dataclass(frozen=True, slots=True)
class Context:
    """Tools and rules, made once at the start."""

    database: Database
    outbox: Outbox
    book: Book
    clock: Clock
    new_id: NewId
    limits: Limits
    band_percent: int
    cooldown_days: int

    def today(self) -> date:
        """The exchange's calendar day."""
        return trading_day(self.clock.now())
