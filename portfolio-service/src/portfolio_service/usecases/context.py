"""What the edges work with."""

from collections.abc import Callable
from dataclasses import dataclass

from portfolio_service.domain.entry import Rules
from saras_common.clock import Clock
from saras_common.db import Database
from saras_common.ids import NewId


@dataclass(frozen=True, slots=True)
class Context:
    """Tools and rules, made once at the start. ``check_room`` raises `Unavailable` while the outbox is full."""

    database: Database
    entry: Database
    """The same for order entry: connections of its own, planned for tables that grow."""
    clock: Clock
    new_id: NewId
    rules: Rules
    is_sandbox: bool
    check_room: Callable[[], None]
