"""How statements reach PostgreSQL: straight through the session's psycopg connection, inside its transaction."""

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, LiteralString
from uuid import UUID

import numpy as np
import numpy.typing as npt
import psycopg
from sqlalchemy.orm import Session

from trade_executor.core.book import Statement

Parameters = Sequence[Any] | Mapping[str, Any]
INT64 = np.dtype("<i8")


class StatementCache:
    """Pre-trade statements of the blocks last worked on, bounded by orders; safe from any thread.

    They are written once and never change.
    """

    def __init__(self, most_orders: int) -> None:
        self._most = most_orders
        self._held = 0
        self._kept: OrderedDict[UUID, Statement] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, block_id: UUID) -> Statement | None:
        """The statement, if it is still kept."""
        with self._lock:
            return self._kept.get(block_id)

    def keep(self, block_id: UUID, statement: Statement) -> None:
        """Keep it; the oldest make room."""
        with self._lock:
            if block_id not in self._kept:
                self._kept[block_id] = statement
                self._held += len(statement)
            while self._held > self._most and len(self._kept) > 1:
                self._held -= len(self._kept.popitem(last=False)[1])


class Statements:
    """Runs SQL and gives rows as tuples.

    In a pipelined session nothing is waited for but rows and counts: what was only run travels with the next of these,
    or with the commit, and its error is raised there.
    """

    def __init__(self, session: Session, kept: StatementCache) -> None:
        self._statements = kept
        connection = session.connection().connection.driver_connection
        assert isinstance(connection, psycopg.Connection)  # noqa: S101 - Database makes no other
        self._connection: psycopg.Connection[Any] = connection

    def run(self, statement: LiteralString, parameters: Parameters = ()) -> None:
        """Execute."""
        self._connection.execute(statement, parameters)

    def count(self, statement: LiteralString, parameters: Parameters = ()) -> int:
        """Execute; the number of rows touched."""
        with self._connection.pipeline():  # leaving it, also an inner one, waits for the answers
            cursor = self._connection.execute(statement, parameters)
        return cursor.rowcount

    def all(self, statement: LiteralString, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
        """Every row."""
        return self._connection.execute(statement, parameters).fetchall()

    def all_binary(self, statement: LiteralString, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
        """Every row, sent in binary: quicker for many rows of ids and numbers."""
        return self._connection.execute(statement, parameters, binary=True).fetchall()

    def find(self, statement: LiteralString, parameters: Parameters = ()) -> tuple[Any, ...] | None:
        """The first row, if there is one."""
        row: tuple[Any, ...] | None = self._connection.execute(statement, parameters).fetchone()
        return row

    def get(self, statement: LiteralString, parameters: Parameters = ()) -> tuple[Any, ...]:
        """The one row; ``LookupError`` when there is none: a fault of ours, never of a caller."""
        row = self.find(statement, parameters)
        if row is None:
            raise LookupError("no such row")
        return row


def column(array: npt.NDArray[Any]) -> bytes:
    """An int64 array as stored."""
    return array.astype(INT64).tobytes()


def array_of(stored: bytes) -> npt.NDArray[np.int64]:
    """`column` read back."""
    return np.frombuffer(stored, dtype=INT64).astype(np.int64)
