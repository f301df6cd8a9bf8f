"""Dictionaries with real transactions."""

from typing import Any, Protocol

from saras_common.clock import Clock
from saras_common.events import Event

_MISSING: Any = object()


class Database(Protocol):
    """What a transaction needs of its database."""

    clock: Clock
    outbox: list[Event]

    def table(self, name: str) -> dict[Any, Any]: ...


class Tables:
    """Rows of one transaction; what it put can be undone."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._done: list[tuple[dict[Any, Any], Any, Any]] = []
        self._told = len(database.outbox)

    def undo(self) -> None:
        for table, key, before in reversed(self._done):
            if before is _MISSING:
                del table[key]
            else:
                table[key] = before
        del self._database.outbox[self._told :]

    def _rows(self, name: str) -> dict[Any, Any]:
        return self._database.table(name)

    def _put(self, name: str, key: Any, row: Any) -> None:
        table = self._database.table(name)
        self._done.append((table, key, table.get(key, _MISSING)))
        table[key] = row
