"""What consumers gave up on, and the way back: `saras parked`, and `saras parked EVENT` once its cause is mended.

An event handed back leaves through an outbox like any other, in the transaction that forgets it was parked. Queues that
had applied it know it; the one that had not applies it now.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from psycopg import sql
from rich.console import Console

from saras.errors import CommandFailed
from saras.home import Home
from saras.settings import PlatformSettings
from saras.tables import plain_table
from saras_common.db import connect, translated
from saras_common.errors import Unavailable
from saras_common.ids import find_id, new_id
from saras_common.outbox import channel_of
from saras_common.postgres import EmbeddedPostgres

OUTBOX = "portfolio_service"
"""Whose relay carries what is handed back. Any would do; this one always runs."""

_INBOXES = "SELECT table_schema FROM information_schema.tables WHERE table_name = 'inbox_parked' ORDER BY 1"
_LIST = sql.SQL("SELECT consumer, event_id, type, reason, attempts, parked_at FROM {schema}.inbox_parked")
_TAKE = sql.SQL("""
WITH gone AS (DELETE FROM {schema}.inbox_parked WHERE event_id = %s RETURNING consumer, event_id, type, body),
forgotten AS (DELETE FROM {schema}.inbox USING gone
    WHERE inbox.consumer = gone.consumer AND inbox.event_id = gone.event_id)
SELECT type, body FROM gone
""")
_SEND = sql.SQL("INSERT INTO {schema}.outbox (id, type, body, count) VALUES (%s, %s, %s, 1)")


class Parked(NamedTuple):
    """One event a consumer could not apply."""

    consumer: str
    event_id: UUID
    kind: str
    reason: str
    attempts: int
    at: datetime


def run_parked(settings: PlatformSettings, event: str | None, console: Console) -> int:
    """List what is parked, or hand one event back; 1 when there is no such event."""
    with _admin(settings) as connection:
        if event is None:
            columns = ("queue", "event", "kind", "reason", "attempts", "since")
            console.print(plain_table("Given up on", columns, list_parked(connection)))
            return 0
        event_id = find_id(event)
        if event_id is None or not hand_back(connection, event_id):
            raise CommandFailed(f"no event {event} is parked")
    console.print("Handed back; its consumer applies it now, or parks it again.")
    return 0


def list_parked(connection: psycopg.Connection[Any]) -> list[Parked]:
    """Every event that some consumer gave up on, oldest first."""
    found = []
    for schema in _schemas(connection):
        found += [Parked(*row) for row in connection.execute(_LIST.format(schema=schema))]
    return sorted(found, key=lambda parked: parked.at)


def hand_back(connection: psycopg.Connection[Any], event_id: UUID) -> bool:
    """Send an event again to who gave it up; ``False`` when nobody did."""
    with connection.transaction():
        taken = [
            row
            for schema in _schemas(connection)
            for row in connection.execute(_TAKE.format(schema=schema), [event_id]).fetchall()
        ]
        if taken:
            connection.execute(_SEND.format(schema=sql.Identifier(OUTBOX)), [new_id(), *taken[0]])
            connection.execute("SELECT pg_notify(%s, '')", [channel_of(OUTBOX)])
    return bool(taken)


def _schemas(connection: psycopg.Connection[Any]) -> list[sql.Identifier]:
    return [sql.Identifier(row[0]) for row in connection.execute(_INBOXES).fetchall()]


@contextmanager
def _admin(settings: PlatformSettings) -> Iterator[psycopg.Connection[Any]]:
    """The database of this home; started when it does not run."""
    home = Home(settings.home)
    spread = home.services / "postgres"
    server = EmbeddedPostgres(spread if spread.exists() else home.postgres)
    try:
        url = settings.database_url.get_secret_value() if settings.database_url else server.start()
        with translated(), connect(url) as connection:
            yield connection
    except Unavailable as error:
        raise CommandFailed(f"the database does not answer: {error}") from error
    finally:
        server.stop()
