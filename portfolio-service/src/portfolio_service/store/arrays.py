"""Columns as array literals, and plain SQL on the session's connection."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, LiteralString

import psycopg
from sqlalchemy.orm import Session

from saras_common.db import driver

FOR_GROWTH = {
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "plan_cache_mode": "force_generic_plan",
}
"""A statement over arrays is planned once and kept. On a young database that plan would read whole tables, and go on
doing so when they are large."""


def run(session: Session, statement: LiteralString, *parameters: object) -> int:
    """Execute ``statement`` (``%s`` style) in the session's transaction; the number of rows it touched."""
    return driver(session).execute(statement, parameters).rowcount


def rows_of(session: Session, statement: LiteralString, *parameters: object) -> Sequence[Any]:
    """The rows ``statement`` answers."""
    return driver(session).execute(statement, parameters).fetchall()


def ask(session: Session, statement: LiteralString, *parameters: object) -> psycopg.Cursor[Any]:
    """Execute ``statement``, its rows to be fetched later: where `streamed`, only then they are waited for."""
    return driver(session).execute(statement, parameters)


@contextmanager
def streamed(session: Session) -> Iterator[None]:
    """Statements run inside do not wait for one another's answers: the server works while the next is written.

    Who fetches rows waits for everything sent so far. What goes wrong with a statement is raised there, or at the end.
    """
    with driver(session).pipeline():
        yield


def use_indexes(session: Session) -> None:
    """Plan this transaction's statements for tables that grow; see `FOR_GROWTH`."""
    settings = ", ".join([f"set_config('{name}', '{value}', true)" for name, value in FOR_GROWTH.items()])
    driver(session).execute(f"SELECT {settings}".encode())


def array(values: Iterable[object]) -> str:
    """Numbers, ids, booleans and words of ours; ``None`` becomes NULL. Not for text from outside."""
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"


def number_array(values: Iterable[int]) -> str:
    """`array` of numbers, none of them missing."""
    return "{" + ",".join(map(str, values)) + "}"


def few_array(values: Sequence[object]) -> str:
    """`array` of values that mostly repeat, each written once: instants, names of ours."""
    written = {value: "NULL" if value is None else str(value) for value in set(values)}
    return "{" + ",".join([written[value] for value in values]) + "}"


def text_array(values: Iterable[str | None]) -> str:
    """Any text, quoted."""
    listed = list(values)
    written = {value: "NULL" if value is None else _quoted(value) for value in set(listed)}
    return "{" + ",".join([written[value] for value in listed]) + "}"


def columns(rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The rows' columns; the rows are of one length and there is at least one."""
    return list(zip(*rows, strict=True))


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
