"""PostgreSQL as the bus: a row per message and subscribed queue, deleted in the transaction that held it.

A consumer takes the head of its queue under an advisory lock, so order holds however many consumers stand by, and
keeps the transaction open while the handler works: a consumer that dies gives the rows back by dying.
"""

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from saras_common.bus.protocol import (
    ATTEMPT_LIMIT,
    MAX_EVENTS_A_DELIVERY,
    MAX_PAUSE_S,
    BusUnavailable,
    Handle,
    ParkedMessage,
    Subscriptions,
    partition_queue,
    reason_of,
)
from saras_common.db import connect
from saras_common.db.patience import SERVER_NOTICES_THE_DEAD
from saras_common.errors import NotFound, Unavailable
from saras_common.events import MAX_EVENTS_A_MESSAGE, SUBSCRIPTIONS, Message

_log = logging.getLogger(__name__)

STATEMENT_TIMEOUT_S = 15
STUCK_CONSUMER_TIMEOUT_S = 120
"""A consumer that stopped dead inside a delivery loses it to another after this long."""

POLL_S = 0.25
"""How soon an idle consumer sees that it should stop."""

LOOK_EVERY_S = 2.0
"""How often one that was told nothing looks all the same: who had the turn may have died with it."""

_PUBLISH = """
WITH added AS (
    INSERT INTO bus.message (queue, id, type, body, count)
    SELECT * FROM unnest(%b::text[], %b::uuid[], %b::text[], %b::bytea[], %b::int[])
)
SELECT pg_notify('bus_' || queue, '') FROM unnest(%b::text[]) AS queue
"""
_TURN = "SELECT pg_try_advisory_xact_lock(hashtextextended('bus ' || %s, 0))"
_TAKE = """
SELECT seq, id, type, body, count FROM bus.message WHERE seq IN (
    SELECT seq FROM (
        SELECT seq, count, sum(count) OVER (ORDER BY seq) AS upto FROM (
            SELECT seq, count FROM bus.message WHERE queue = %s ORDER BY seq LIMIT %s
        ) AS head
    ) AS counted WHERE upto <= %s OR upto = count
) ORDER BY seq
"""
_LET_GO = "SHOW timezone"
"""The server keeps a query's snapshot until it is asked something else, and with it every dead version of every row in
the database, for as long as a handler works: others' hot rows were twice as slow. This needs none and takes its place.
"""
_DONE = "DELETE FROM bus.message WHERE seq = ANY(%b)"
_COUNT_ATTEMPT = "UPDATE bus.message SET attempts = attempts + 1 WHERE seq = %s RETURNING attempts"
_PARK = """
WITH gone AS (DELETE FROM bus.message WHERE seq = %s RETURNING seq, queue, id, type, body, count, attempts)
INSERT INTO bus.parked (seq, queue, id, type, body, count, attempts, reason) SELECT gone.*, %s FROM gone
"""
_REPLAY = """
WITH one AS (SELECT seq FROM bus.parked WHERE queue = %(queue)s AND id = %(id)s ORDER BY seq LIMIT 1),
gone AS (DELETE FROM bus.parked WHERE seq IN (SELECT seq FROM one) RETURNING queue, id, type, body, count)
INSERT INTO bus.message (queue, id, type, body, count) SELECT * FROM gone RETURNING pg_notify('bus_' || queue, '')
"""
_LIST_PARKED = """
SELECT id, type, body, count, reason, attempts, parked_at FROM bus.parked WHERE queue = %s ORDER BY seq LIMIT 1000
"""


class _Failed(Exception):
    """Carries a handler's error out of the transaction it undoes."""

    def __init__(self, seqs: list[int], reason: Exception) -> None:
        super().__init__(str(reason))
        self.seqs = seqs
        self.reason = reason


class PostgresBus:
    """The bus in schema ``bus`` of the database at ``url``, as the role in it."""

    def __init__(
        self, url: str, *, subscriptions: Subscriptions = SUBSCRIPTIONS, attempt_limit: int = ATTEMPT_LIMIT
    ) -> None:
        self._url = url
        self._subscriptions = subscriptions
        self._attempt_limit = attempt_limit
        self._lock = threading.Lock()
        self._connection: psycopg.Connection | None = None

    def publish(self, messages: Sequence[Message]) -> None:
        rows = [
            (queue, message)
            for message in messages
            for queue, kinds in self._subscriptions.items()
            if message.type in kinds
        ]
        self.publish_to(rows)

    def partition(self, queue: str, count: int) -> list[str]:
        return [partition_queue(queue, count, number) for number in range(count)]

    def publish_to(self, messages: Sequence[tuple[str, Message]]) -> None:
        if not messages:
            return
        columns = [
            [queue for queue, _ in messages],
            [message.id for _, message in messages],
            [message.type for _, message in messages],
            [message.body for _, message in messages],
            [message.count for _, message in messages],
            sorted({queue for queue, _ in messages}),
        ]
        with self._shared() as connection:
            connection.execute(_PUBLISH, columns)

    def consume(self, queue: str, handle: Handle, stop: threading.Event, *, batch: int = 64) -> None:
        failures = 0
        while not stop.is_set():
            try:
                with self._connect(consumer=True) as connection:
                    failures = 0
                    connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(f"bus_{queue}")))
                    self._feed(connection, queue, handle, stop, batch)
            except psycopg.Error as error:
                failures += 1
                _log.warning("queue %s waits: %s", queue, type(error).__name__)
                stop.wait(min(MAX_PAUSE_S, 0.1 * 2 ** min(failures, 6)))

    def depth(self, queue: str) -> int:
        with self._shared() as connection:
            row = connection.execute("SELECT count(*) FROM bus.message WHERE queue = %s", [queue]).fetchone()
        return int(row[0]) if row else 0

    def is_idle(self, queue: str) -> bool:
        return self.depth(queue) == 0  # a row is there until its effect is committed

    def parked(self, queue: str) -> list[ParkedMessage]:
        with self._shared() as connection:
            rows = connection.execute(_LIST_PARKED, [queue]).fetchall()
        return [ParkedMessage(_message(row[:4]), *row[4:]) for row in rows]

    def replay(self, queue: str, message_id: UUID) -> None:
        with self._shared() as connection:
            if not connection.execute(_REPLAY, {"queue": queue, "id": message_id}).fetchall():
                raise NotFound("No such parked message")

    def check(self) -> None:
        with self._shared() as connection:
            connection.execute("SELECT 1")

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _feed(
        self, connection: psycopg.Connection, queue: str, handle: Handle, stop: threading.Event, batch: int
    ) -> None:
        """Deliver in batches; after one that failed, as many messages one by one as it held."""
        careful = pauses = 0
        while not stop.is_set():
            for _ in connection.notifies(timeout=0):
                pass  # what we were told so far is what we look for now
            try:
                taken, is_all = self._deliver(connection, queue, handle, 1 if careful else batch)
                careful, pauses = careful - 1 if careful and taken else 0, 0
            except _Failed as failed:
                if isinstance(failed.reason, Unavailable):
                    pauses += 1
                    stop.wait(min(MAX_PAUSE_S, 0.05 * 2 ** min(pauses, 8)))
                elif len(failed.seqs) > 1:
                    careful = len(failed.seqs)
                else:
                    stop.wait(self._count_or_park(connection, queue, failed))
                continue
            if is_all and not careful:
                _await_notice(connection, stop)

    def _deliver(self, connection: psycopg.Connection, queue: str, handle: Handle, limit: int) -> tuple[int, bool]:
        """Messages handled, and whether those were all there were, as far as one can tell."""
        with connection.pipeline(), connection.transaction():  # two waits for the server: the rows, the commit
            # the turn first, in a statement of its own: what the previous holder deleted is then not seen any more
            turn = connection.execute(_TURN, [queue])
            head = connection.execute(_TAKE, [queue, limit, MAX_EVENTS_A_DELIVERY], binary=True)
            connection.execute(_LET_GO)
            if turn.fetchone() != (True,):
                return 0, True
            rows = head.fetchall()
            if not rows:
                return 0, True
            seqs = [row[0] for row in rows]
            try:
                handle([_message(row[1:]) for row in rows])
            except Exception as error:
                raise _Failed(seqs, error) from error
            connection.execute(_DONE, [seqs])
        events = sum(row[4] for row in rows)
        return len(rows), len(rows) < limit and events < MAX_EVENTS_A_DELIVERY - MAX_EVENTS_A_MESSAGE

    def _count_or_park(self, connection: psycopg.Connection, queue: str, failed: _Failed) -> float:
        """Record a failed attempt outside the transaction that failed; seconds to wait before the next one."""
        [seq] = failed.seqs
        row = connection.execute(_COUNT_ATTEMPT, [seq]).fetchone()
        attempts = int(row[0]) if row else 0
        if attempts < self._attempt_limit:
            return float(0.05 * 2**attempts)
        connection.execute(_PARK, [seq, reason_of(failed.reason)])
        _log.error("parked a message of %s after %d attempts", queue, attempts, exc_info=failed.reason)
        return 0.0

    @contextmanager
    def _shared(self) -> Iterator[psycopg.Connection]:
        """The one connection for everything but consuming, in autocommit: a statement is a transaction."""
        with self._lock:
            try:
                if self._connection is None or self._connection.closed:
                    self._connection = self._connect()
                yield self._connection
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                if self._connection is not None:
                    self._connection.close()
                    self._connection = None
                raise BusUnavailable("The message bus is not available", retry_after_s=2) from error

    def _connect(self, *, consumer: bool = False) -> psycopg.Connection:
        limits = {
            "statement_timeout": f"{STATEMENT_TIMEOUT_S}s",
            "idle_in_transaction_session_timeout": f"{STUCK_CONSUMER_TIMEOUT_S}s",
            "client_min_messages": "error",
            **SERVER_NOTICES_THE_DEAD,
        }
        return connect(
            self._url,
            silence_s=STATEMENT_TIMEOUT_S + 1,
            transaction_s=STUCK_CONSUMER_TIMEOUT_S if consumer else None,
            options=" ".join(f"-c {name}={value}" for name, value in limits.items()),
            application_name="bus consumer" if consumer else "bus",
        )


def _await_notice(connection: psycopg.Connection, stop: threading.Event) -> None:
    until = time.monotonic() + LOOK_EVERY_S
    while not stop.is_set() and time.monotonic() < until:
        for _ in connection.notifies(timeout=POLL_S, stop_after=1):
            return


def _message(row: TupleRow) -> Message:
    return Message(row[0], row[1], bytes(row[2]), row[3])
