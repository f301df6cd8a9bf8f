"""Connections that never wait for ever: for a server that hangs, or a way to it that swallows everything.

``statement_timeout`` is the server's own promise; one that is stopped, or cut off without a word, keeps none. Then
only the client's clock helps.
"""

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
            if error.sqlstate is None:  # not the server's word: it is silent, or gone
                self.close()
            raise


def connect(url: str, *, silence_s: float | None = SILENCE_S, **options: Any) -> PatientConnection:
    """A connection in autocommit for one who keeps it; ``options`` are libpq's."""
    connection = PatientConnection.connect(
        url, autocommit=True, **{"connect_timeout": CONNECT_TIMEOUT_S, **NOTICE_THE_DEAD, **options}
    )
    connection.silence_s = silence_s
    return connection
