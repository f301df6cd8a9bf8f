"""Connections that never wait for ever: for a server that hangs, or a way to it that swallows everything.

``statement_timeout`` is the server's own promise; one that is stopped, or cut off without a word, keeps none. Then
only the client's clock helps. The session that was given up may live on at the server, with its locks and its turn at
a queue, and between two statements of a pipeline no timeout of the server but ``transaction_timeout`` ends it: so the
next connection to get through ends it.
"""

import threading
from collections import defaultdict
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.rows import TupleRow

RV = TypeVar("RV")

CONNECT_TIMEOUT_S = 3
SILENCE_S = 10.0
"""For connections whose statements take milliseconds: they listen, or carry messages."""

NOTICE_THE_DEAD = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
"""libpq's parameters: a machine that vanished is noticed in half a minute, also where nothing was asked."""

SERVER_NOTICES_THE_DEAD = {"tcp_keepalives_idle": 10, "tcp_keepalives_interval": 5, "tcp_keepalives_count": 3}
"""The server's settings for a session: a client that vanished loses its locks and its turn in half a minute."""

HAS_TRANSACTION_TIMEOUT = 170_000

_END = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE pid = ANY(%s) AND usename = current_user AND datname = current_database()
    AND state_change < now() - make_interval(secs => %s)
"""
_STALE_S = 1.0
"""A session that did something since then is somebody else's who got the number."""

Server = tuple[str, int, str, str]


class _Remains:
    """Sessions that connections of this process gave up, by server and login."""

    def __init__(self) -> None:
        self._pids: dict[Server, set[int]] = defaultdict(set)
        self._lock = threading.Lock()

    def add(self, server: Server, pid: int) -> None:
        with self._lock:
            self._pids[server].add(pid)

    def take(self, server: Server) -> list[int]:
        with self._lock:
            return list(self._pids.pop(server, ()))


_REMAINS = _Remains()


class PatientConnection(psycopg.Connection[TupleRow]):
    """Closes itself when the server owes an answer for more than ``silence_s``; that is an `OperationalError`."""

    silence_s: float | None = SILENCE_S

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        """As psycopg's; who waits for notifications gives a time of his own."""
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, self.silence_s)
        except psycopg.OperationalError as error:
            if error.sqlstate is None and not self.closed:  # not the server's word: it is silent, or gone
                _REMAINS.add(self._server(), self.info.backend_pid)
                self.close()
            raise

    def settle_in(self, *, silence_s: float | None, transaction_s: float | None = None) -> None:
        """Right after connecting: how long to wait, how long a transaction may last, and the end of those given up."""
        self.silence_s = silence_s
        remains = _REMAINS.take(self._server())
        is_timed = transaction_s is not None and self.info.server_version >= HAS_TRANSACTION_TIMEOUT
        if not remains and not is_timed:
            return
        autocommit = self.autocommit
        self.autocommit = True
        if remains:
            self.execute(_END, [remains, _STALE_S])
        if is_timed:
            self.execute("SELECT set_config('transaction_timeout', %s, false)", [f"{transaction_s}s"])
        self.autocommit = autocommit

    def _server(self) -> Server:
        info = self.info
        return info.host, info.port, info.dbname, info.user


def connect(
    url: str, *, silence_s: float | None = SILENCE_S, transaction_s: float | None = None, **options: Any
) -> PatientConnection:
    """A connection in autocommit for one who keeps it; ``options`` are libpq's."""
    connection = PatientConnection.connect(
        url, autocommit=True, **{"connect_timeout": CONNECT_TIMEOUT_S, **NOTICE_THE_DEAD, **options}
    )
    connection.settle_in(silence_s=silence_s, transaction_s=transaction_s)
    return connection
