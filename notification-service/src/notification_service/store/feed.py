"""The feed: everything users were told live, kept some days so that a stream can go on where it broke off.

Positions are handed out under one lock, held until the writer's commit, so a reader that saw position n has every
position below it before its eyes: ``position > n`` misses nothing. Take the lock last in a transaction.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
import psycopg
from sqlalchemy import text
from sqlalchemy.orm import Session

from notification_service.domain.feed import FeedEntry
from saras_common.db import connect, driver, translated
from saras_common.jsonio import dumps

CHANNEL = "feed_notification_service"
_PRUNE_ROWS = 10_000

_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('notification_service feed', 0))")
_ADD = b"""
WITH added AS (
    INSERT INTO feed (user_id, kind, at, data)
    SELECT user_id, kind, at, convert_from(data, 'UTF8')::jsonb
    FROM unnest(%b::uuid[], %b::text[], %b::timestamptz[], %b::bytea[])
        WITH ORDINALITY AS news (user_id, kind, at, data, number)
    ORDER BY number
)
SELECT pg_notify(%s, '')
"""
_AFTER = text("""
SELECT position, user_id::text, kind, at, data::text FROM feed WHERE position > :after ORDER BY position LIMIT :limit
""")
_OF_USER = text("""
SELECT position, user_id::text, kind, at, data::text FROM feed
WHERE user_id = :user_id AND position > :after AND position <= :until ORDER BY position LIMIT :limit
""")
_ENDS = text("""
SELECT greatest(floor.position, (SELECT max(position) FROM feed)) AS head, floor.position AS floor
FROM feed_floor AS floor
""")
_PRUNE = text("""
WITH oldest AS (SELECT position, at FROM feed ORDER BY position LIMIT :rows),
bound AS (SELECT max(position) AS position FROM oldest WHERE at < :before),
gone AS (DELETE FROM feed WHERE position <= (SELECT position FROM bound) RETURNING 1),
raised AS (
    UPDATE feed_floor SET position = bound.position FROM bound WHERE bound.position > feed_floor.position
)
SELECT count(*) FROM gone
""")


@dataclass(frozen=True, slots=True)
class FeedEnds:
    """``head``: the newest position; ``floor``: the last one that is no longer kept."""

    head: int
    floor: int


FeedRow = tuple[int, str, str, datetime, Any]
"""Position, user, kind, time, data ready to be written as JSON."""


def add(session: Session, entries: Sequence[FeedEntry]) -> None:
    """Append ``entries`` in order, and wake those who wait for the commit."""
    if not entries:
        return
    session.execute(_LOCK)
    columns = [
        [entry.user_id for entry in entries],
        [entry.kind.value for entry in entries],
        [entry.at for entry in entries],
        [dumps(entry.data) for entry in entries],
    ]
    driver(session).execute(_ADD, [*columns, CHANNEL])  # as text, arrays take ten times as long to write


def list_after(session: Session, after: int, limit: int) -> list[FeedRow]:
    """Everybody's rows after ``after``."""
    return [_row(row) for row in session.execute(_AFTER, {"after": after, "limit": limit})]


def list_of_user(session: Session, user_id: UUID, *, after: int, until: int, limit: int) -> list[FeedRow]:
    """One user's rows after ``after``, none beyond ``until``."""
    parameters = {"user_id": user_id, "after": after, "until": until, "limit": limit}
    return [_row(row) for row in session.execute(_OF_USER, parameters)]


def ends(session: Session) -> FeedEnds:
    """Where the feed begins and ends; read it after the rows, and what was pruned in between shows."""
    row = session.execute(_ENDS).one()
    return FeedEnds(row.head, row.floor)


def prune(session: Session, before: datetime) -> int:
    """Forget the oldest rows from before that instant, some at a time; how many went."""
    return int(session.execute(_PRUNE, {"rows": _PRUNE_ROWS, "before": before}).scalar_one())


def _row(row: Any) -> FeedRow:
    return row[0], row[1], row[2], row[3], orjson.Fragment(row[4])


class FeedBell:
    """Rings when rows were committed. Each waiter listens on a connection of its own, kept for the next one."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._idle: list[psycopg.Connection] = []
        self.is_closed = False

    @contextmanager
    def listening(self) -> Iterator[psycopg.Connection]:
        """A connection that hears of every commit from now on: ``for _ in connection.notifies(…)``."""
        with translated():
            connection = self._idle.pop() if self._idle else self._connect()
            try:
                connection.execute(f"LISTEN {CHANNEL}")
                yield connection
                connection.execute(f"UNLISTEN {CHANNEL}")  # an idle connection must not gather what nobody reads
            except BaseException:
                connection.close()
                raise
            self._idle.append(connection)
            if self.is_closed:
                self.close()

    def close(self) -> None:
        """Give connections back: the idle ones now, the others when they are."""
        self.is_closed = True
        while self._idle:
            self._idle.pop().close()

    def _connect(self) -> psycopg.Connection:
        return connect(self._url, application_name="feed bell")
