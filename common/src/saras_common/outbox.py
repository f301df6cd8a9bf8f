"""Events out: written in the transaction they tell of, carried to the bus by a relay afterwards.

A row is one `Message`. The relay reads what is committed and not yet published, oldest first, so a row that commits
late is taken late and never skipped; it marks rows published after the bus has them. A crash in between publishes
them again, which the inbox of each consumer absorbs.
"""

import logging
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import groupby
from typing import Protocol

import psycopg
from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy import func as sql_func
from sqlalchemy.orm import Session

from saras_common.bus.protocol import Bus
from saras_common.db import Database, connect, driver, translated
from saras_common.errors import Unavailable
from saras_common.events import MAX_EVENTS_A_MESSAGE, Event, Message, pack
from saras_common.ids import new_id
from saras_common.metrics import Metrics, unless_down

_log = logging.getLogger(__name__)

MAX_PACKET_BYTES = 1_000_000
"""Neighbouring messages are joined up to this size."""

STOP_CHECK_S = 0.25
"""How soon an idle relay sees that it should stop."""


LINGER_S = 0.05
"""After a small batch the relay waits this long, so that a stream of single events travels in few packets."""

SOON = "soon"
"""Payload of a notification that ends such a wait."""

LONGEST_LINGER_S = 0.5
STREAM_EVENTS = 32
"""A batch of so many is a stream: the wait doubles while it lasts, for every step behind costs by the packet.

Events that were written together are one row, and in one packet already: one row is no stream.
"""


class Operations(Protocol):
    """The part of alembic's ``op`` that migrations of ours use."""

    def execute(self, sqltext: str) -> None: ...


def add_outbox_table(metadata: MetaData, schema: str) -> Table:
    """The outbox among a service's models; `create_outbox` makes it in a migration."""
    table = Table(
        "outbox",
        metadata,
        Column("seq", BigInteger, Identity(always=True), primary_key=True),
        Column("id", Uuid, nullable=False),
        Column("type", Text, nullable=False),
        Column("body", LargeBinary, nullable=False),
        Column("count", Integer, nullable=False),
        Column("created_at", DateTime(timezone=True), nullable=False, server_default=sql_func.now()),
        Column("published_at", DateTime(timezone=True)),
        schema=schema,
    )
    Index("outbox_unpublished", table.c.seq, postgresql_where=table.c.published_at.is_(None))
    return table


# Bodies are JSON that soon goes again: compressing them costs more than it saves. The table is all churn: vacuum early.
_DDL = """
CREATE TABLE {schema}.outbox (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id uuid NOT NULL, type text NOT NULL, body bytea NOT NULL,
    count integer NOT NULL, created_at timestamptz NOT NULL DEFAULT now(), published_at timestamptz
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE {schema}.outbox ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE INDEX outbox_unpublished ON {schema}.outbox (seq) WHERE published_at IS NULL;
GRANT SELECT, INSERT, DELETE, UPDATE (published_at) ON {schema}.outbox TO {role}
"""


def create_outbox(op: Operations, schema: str, role: str) -> None:
    """Migration: the outbox of ``schema``, written and relayed by ``role``."""
    for statement in _DDL.split(";"):
        op.execute(statement.strip().format(schema=schema, role=role))


class Outbox:
    """Writes events of one service into its outbox."""

    def __init__(self, schema: str) -> None:
        self.schema = schema
        self._insert: str = (
            f"WITH added AS (INSERT INTO {schema}.outbox (id, type, body, count)"  # noqa: S608 - our schema's name
            " SELECT * FROM unnest(%b::uuid[], %b::text[], %b::bytea[], %b::integer[]))"
            f" SELECT pg_notify('{channel_of(schema)}', %s)"
        )
        self._insert_one: str = (
            f"WITH added AS (INSERT INTO {schema}.outbox (id, type, body, count)"  # noqa: S608 - our schema's name
            f" VALUES (%b, %b, %b, %b)) SELECT pg_notify('{channel_of(schema)}', %s)"
        )
        self._depth = text(
            f"SELECT coalesce(sum(count), 0) FROM {schema}.outbox WHERE published_at IS NULL"  # noqa: S608 - as above
        )

    def add(self, session: Session, events: Iterable[Event]) -> None:
        """Store ``events`` with the caller's transaction, in order, in one statement."""
        self.add_messages(session, list(pack(events)))

    def add_messages(self, session: Session, messages: Sequence[Message], *, soon: bool = False) -> None:
        """Store events that are packed already; the relay lets those of ``soon`` not wait for others to travel with."""
        payload = SOON if soon else ""
        if len(messages) == 1:  # as nearly always, and arrays are dear to write
            [only] = messages
            driver(session).execute(self._insert_one, [only.id, only.type, only.body, only.count, payload])
        elif messages:
            driver(session).execute(self._insert, [*_columns(messages), payload])

    def depth(self, session: Session) -> int:
        """Events that wait for the bus. Its cost grows with them: ask once a second, not once a request."""
        return int(session.execute(self._depth).scalar_one())


_TURN = "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))"


class Relay:
    """Carries one outbox to the bus. Several may run; they take turns, so that the order of rows is kept."""

    def __init__(
        self,
        database: Database,
        bus: Bus,
        schema: str,
        *,
        batch: int = 2000,
        poll_s: float = 2.0,
        keep_published_s: int = 3600,
        metrics: Metrics | None = None,
    ) -> None:
        self.published = 0
        """Events published by this relay since it started."""
        self._database = database
        self._bus = bus
        self._schema = schema
        self._batch = batch
        self._poll_s = poll_s
        self._prune_every_s = 60.0
        self._keep_published_s = keep_published_s
        self._select = (
            f"SELECT seq, id, type, body, count FROM {schema}.outbox"  # noqa: S608 - our schema's name
            " WHERE published_at IS NULL ORDER BY seq LIMIT %s"
        )
        self._mark = f"UPDATE {schema}.outbox SET published_at = now() WHERE seq = ANY(%b)"  # noqa: S608 - our schema's name
        self._prune = text(
            f"DELETE FROM {schema}.outbox WHERE seq IN"  # noqa: S608 - our schema's name
            f" (SELECT seq FROM {schema}.outbox ORDER BY seq LIMIT 10000)"
            " AND published_at < now() - make_interval(secs => :age) RETURNING 1"
        )
        self._oldest = text(
            "SELECT coalesce(extract(epoch FROM now() - min(created_at)), 0)"  # noqa: S608 - our schema's name
            f" FROM {schema}.outbox WHERE published_at IS NULL"
        )
        metrics, service = metrics or Metrics(), schema.replace("_", "-")
        self._moved = metrics.counter(
            "saras_outbox_published_total", "Events carried from the outbox to the bus", ("service",)
        ).labels(service)
        metrics.gauge(
            "saras_outbox_lag_seconds", "Age of the oldest event that waits for the bus", ("service",)
        ).labels(service).set_function(unless_down(self.lag_s))

    def run(self, stop: threading.Event) -> None:
        """Relay until ``stop``; a bus or database that is down is tried again, with growing pauses."""
        failures, linger_s, prune_at = 0, LINGER_S, time.monotonic() + self._prune_every_s
        waiter = _Waiter(self._database, channel_of(self._schema))
        try:
            while not stop.is_set():
                try:
                    waiter.forget()
                    rows, moved = self._drain()
                    failures = 0
                    if time.monotonic() > prune_at:
                        self.prune()
                        prune_at = time.monotonic() + self._prune_every_s
                    if not moved:
                        waiter.wait(stop, self._poll_s)
                    elif moved < MAX_EVENTS_A_MESSAGE:
                        linger_s = _next_linger(linger_s, rows, moved)
                        waiter.wait(stop, linger_s, SOON)
                except Unavailable as error:
                    failures += 1
                    _log.warning("outbox %s waits: %s", self._schema, error)
                    stop.wait(min(5.0, 0.1 * 2 ** min(failures, 6)))
        finally:
            waiter.close()

    def drain_once(self) -> int:
        """Publish one batch of rows; the number of events moved, 0 when there was nothing or another relay is at it."""
        return self._drain()[1]

    def _drain(self) -> tuple[int, int]:
        """`drain_once`: rows, and events in them."""
        with self._database.pipelined_for_service() as session:
            connection = driver(session)
            # the lock in a statement of its own: what the previous holder marked is then seen as marked
            lock = connection.execute(_TURN, [f"outbox {self._schema}"])
            found = connection.execute(self._select, [self._batch], binary=True)
            if lock.fetchone() != (True,):
                return 0, 0
            rows = found.fetchall()
            if not rows:
                return 0, 0
            messages = [Message(*row[1:]) for row in rows]
            self._bus.publish(_joined(messages))
            connection.execute(self._mark, [[row[0] for row in rows]])
        moved = sum(message.count for message in messages)
        self.published += moved
        self._moved.inc(moved)
        return len(rows), moved

    def prune(self) -> int:
        """Forget rows published long ago, some at a time; how many."""
        pruned = 0
        while True:
            with self._database.for_service() as session:
                gone = len(session.execute(self._prune, {"age": self._keep_published_s}).all())
            pruned += gone
            if gone == 0:
                return pruned

    def lag_s(self) -> float:
        """Age of the oldest row not yet published, 0 when none waits."""
        with self._database.for_service() as session:
            return float(session.execute(self._oldest).scalar_one())


def _next_linger(linger_s: float, rows: int, moved: int) -> float:
    is_stream = rows > 1 and moved >= STREAM_EVENTS
    return min(2 * linger_s, LONGEST_LINGER_S) if is_stream else LINGER_S


def channel_of(schema: str) -> str:
    """The NOTIFY channel of a schema's outbox."""
    return f"outbox_{schema}"


def _columns(messages: Sequence[Message]) -> list[object]:
    return [
        [message.id for message in messages],
        [message.type for message in messages],
        [message.body for message in messages],
        [message.count for message in messages],
    ]


def _joined(messages: Sequence[Message]) -> list[Message]:
    """Neighbours of one kind as one message, order kept: a thousand single orders make one packet, not a thousand."""
    result: list[Message] = []
    for kind, run in groupby(messages, key=lambda message: message.type):
        part: list[Message] = []
        count = size = 0
        for message in run:
            if part and (count + message.count > MAX_EVENTS_A_MESSAGE or size + len(message.body) > MAX_PACKET_BYTES):
                result.append(_join(kind, part, count))
                part, count, size = [], 0, 0
            part.append(message)
            count += message.count
            size += len(message.body)
        result.append(_join(kind, part, count))
    return result


def _join(kind: str, messages: Sequence[Message], count: int) -> Message:
    if len(messages) == 1:
        return messages[0]
    return Message(new_id(), kind, b"[" + b",".join(message.body[1:-1] for message in messages) + b"]", count)


class _Waiter:
    """Sleeps until the outbox's channel is notified."""

    def __init__(self, database: Database, channel: str) -> None:
        self._url = database.url
        self._channel = channel
        self._connection: psycopg.Connection | None = None

    def wait(self, stop: threading.Event, most_s: float, payload: str | None = None) -> None:
        """Until there is a notification (with this payload), or for so long; all the time while it cannot listen."""
        try:
            with translated():
                if self._connection is None:
                    self._connection = connect(self._url)
                    self._connection.execute(f"LISTEN {self._channel}")
                    return  # what was committed before we listened is found by one more look
                self._listen(self._connection, stop, time.monotonic() + most_s, payload)
        except Unavailable:
            self.close()
            stop.wait(most_s)

    def forget(self) -> None:
        """Notifications so far: what they tell of is looked for now."""
        if self._connection is not None:
            with suppress(psycopg.Error):  # the next wait meets it again
                for _ in self._connection.notifies(timeout=0):
                    pass

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _listen(self, connection: psycopg.Connection, stop: threading.Event, until: float, payload: str | None) -> None:
        while not stop.is_set() and (left_s := until - time.monotonic()) > 0:
            for notice in connection.notifies(timeout=min(left_s, STOP_CHECK_S), stop_after=1):
                if payload in {None, notice.payload}:
                    return
