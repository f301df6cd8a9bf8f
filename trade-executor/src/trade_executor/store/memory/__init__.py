"""The store in memory, with real transactions: what a simulation runs on. Nothing survives but what was committed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from saras_common.clock import Clock
from saras_common.events import Event
from trade_executor.store.memory.accounts import AccountTables
from trade_executor.store.memory.blocks import BlockTables
from trade_executor.store.memory.evidence import EvidenceTables


class MemoryStore(AccountTables, BlockTables, EvidenceTables):
    """One transaction on a `MemoryDatabase`."""


class MemoryDatabase:
    """Tables as dictionaries. One transaction at a time; an error undoes all of it."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.tables: dict[str, dict[Any, Any]] = {}
        self.outbox: list[Event] = []
        self.before_commit: Callable[[], None] = lambda: None
        """Called between a transaction's work and its commit: what it raises undoes the transaction."""
        self.after_commit: Callable[[], None] = lambda: None
        """Called after the commit: what it raises leaves the caller in doubt."""

    @contextmanager
    def transaction(self) -> Iterator["MemoryStore"]:
        store = MemoryStore(self)
        try:
            yield store
            self.before_commit()
        except BaseException:
            store.undo()
            raise
        self.after_commit()

    def table(self, name: str) -> dict[Any, Any]:
        return self.tables.setdefault(name, {})
