"""Statements on their way to PostgreSQL, seen and changed by whoever listens; the platform knows nothing of it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import psycopg

Listener = Callable[[Any, str, Any], Any]
"""Connection, statement, parameters → the parameters to send."""

_lock = threading.Lock()


@contextmanager
def tapped(listen: Listener) -> Iterator[None]:
    """``listen`` is asked before every statement of this process."""
    execute, many = psycopg.Cursor.execute, psycopg.Cursor.executemany

    def tapped_execute(self: Any, query: Any, params: Any = None, **more: Any) -> Any:
        return execute(self, query, listen(self.connection, text_of(query), params), **more)

    def tapped_many(self: Any, query: Any, params_seq: Any, **more: Any) -> Any:
        text = text_of(query)
        return many(self, query, [listen(self.connection, text, params) for params in params_seq], **more)

    with _lock, patch.object(psycopg.Cursor, "execute", tapped_execute):  # noqa: SIM117 - one statement is too long
        with patch.object(psycopg.Cursor, "executemany", tapped_many):
            yield


def text_of(query: Any) -> str:
    """The statement as text."""
    if isinstance(query, bytes):
        return query.decode()
    return query if isinstance(query, str) else str(query.as_string(None))
