"""Plain SQL on the session's connection, with columns as arrays: one statement for any number of rows."""

from collections.abc import Iterable, Sequence
from typing import Any, LiteralString
from uuid import UUID

from sqlalchemy.orm import Session

from saras_common.db import driver


def run(session: Session, statement: LiteralString, *parameters: object) -> int:
    """Execute ``statement`` in the session's transaction; the number of rows it touched."""
    return driver(session).execute(statement, parameters).rowcount


def rows_of(session: Session, statement: LiteralString, *parameters: object) -> list[tuple[Any, ...]]:
    """The rows ``statement`` answers."""
    return driver(session).execute(statement, parameters, binary=True).fetchall()


def columns(rows: Sequence[Sequence[Any]], width: int) -> list[list[Any]]:
    """The ``width`` columns of the rows, also when there is none."""
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(width)]


def array(numbers: Iterable[int]) -> str:
    """Whole numbers as an array's text: for thousands of them far quicker to write than a list is."""
    return "{" + ",".join(map(str, numbers)) + "}"


def id_array(ids: Iterable[UUID]) -> str:
    """Ids as an array's text."""
    return "{" + ",".join([one.hex for one in ids]) + "}"
