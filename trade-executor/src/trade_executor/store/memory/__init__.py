"""The store in memory, with real transactions: what a simulation runs on. Nothing survives but what was committed."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from saras_common.clock import Clock
from saras_common.events import Event
from trade_executor.store.memory.accounts import AccountTables
from trade_executor.store.memory.blocks import BlockTables
from trade_executor.store.memory.evidence import EvidenceTables
from trade_executor.store.memory.tables import Change


class MemoryStore(AccountTables, BlockTables, EvidenceTables):
    """One transaction on a `MemoryDatabase`."""


class MemoryDatabase:
    """Tables as dictionaries. One transaction at a time; an error undoes all of it."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.tables: defaultdict[str, dict[Any, Any]] = defaultdict(dict)
        self.outbox: list[Event] = []
        self.before_commit: Callable[[], None] = lambda: None
        """Called between a transaction's work and its commit: what it raises undoes the transaction."""
        self.after_commit: Callable[[], None] = lambda: None
        """Called after the commit: what it raises leaves the caller in doubt."""
        self.on_changes: Callable[[Sequence[Change]], None] = lambda _changes: None
        """Told of every row a committed transaction wrote: where an observer looks on."""

    def transaction(self) -> "MemoryTransaction":
        return MemoryTransaction(self)

    def table(self, name: str) -> dict[Any, Any]:
        return self.tables[name]


class MemoryTransaction:
    """``with database.transaction() as store``; a class, because simulations open millions."""

    __slots__ = ("_database", "_store")

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database

    def __enter__(self) -> MemoryStore:
        self._store = MemoryStore(self._database)
        return self._store

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            self._store.undo()
            return
        try:
            self._database.before_commit()
        except BaseException:
            self._store.undo()
            raise
        if self._store.changes:
            self._database.on_changes(self._store.changes)
        self._database.after_commit()
