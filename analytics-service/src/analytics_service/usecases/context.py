"""What the edges work with."""

from dataclasses import dataclass

from analytics_service.book import Book
from saras_common.clock import Clock
from saras_common.db import Database
from saras_common.ids import NewId
from saras_common.outbox import Outbox


@dataclass(frozen=True, slots=True)
class Rules:
    """What the settings decide."""

    price_band_percent: int
    risk_free: float
    benchmark: str
    snapshot_delay_s: int
    lease_s: int
    chromium: str
    is_sandbox: bool


@dataclass(frozen=True, slots=True)
class Context:
    """The tools of this service, wired once in ``app``."""

    database: Database
    outbox: Outbox
    book: Book
    clock: Clock
    new_id: NewId
    rules: Rules
