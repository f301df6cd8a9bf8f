"""Dictionaries with real transactions."""

from typing import Any, NamedTuple, Protocol

from saras_common.clock import Clock
from saras_common.events import Event


class Change(NamedTuple):
    """A row written. ``before`` is ``None`` where there was none: no table keeps one."""

    table: str
    key: Any
    before: Any
    after: Any


class Database(Protocol):
    """What a transaction needs of its database."""

    clock: Clock
    outbox: list[Event]

    def table(self, name: str) -> dict[Any, Any]: ...


class Tables:
    """Rows of one transaction; what it put can be undone."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.changes: list[Change] = []
        self._told = len(database.outbox)

    def undo(self) -> None:
        for name, key, before, _ in reversed(self.changes):
            if before is None:
                del self._database.table(name)[key]
            else:
                self._database.table(name)[key] = before
        del self._database.outbox[self._told :]

    def _rows(self, name: str) -> dict[Any, Any]:
        return self._database.table(name)

    def _put(self, name: str, key: Any, row: Any) -> None:
        table = self._database.table(name)
        self.changes.append(Change(name, key, table.get(key), row))
        table[key] = row
