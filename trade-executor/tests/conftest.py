"""Worlds to run the executor in: a paper broker with either store, one clock, ids that count."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from saras_common.clock import ManualClock
from saras_common.db import Database
from saras_common.events import Event, Message, unpack
from saras_common.testing import MigratedDatabase
from trade_executor.store.postgres import transactions
from trade_executor.testing.world import World, in_memory


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 3, 2, 5, 0, tzinfo=UTC))


@pytest.fixture
def world(clock: ManualClock) -> World:
    """In memory."""
    return in_memory(clock)


def _drain_of(database: Database) -> Callable[[], list[Event]]:
    def drain() -> list[Event]:
        with database.for_service() as session:
            connection = session.connection().connection.driver_connection
            rows = connection.execute(
                "WITH sent AS (UPDATE outbox SET published_at = now() WHERE published_at IS NULL"
                " RETURNING seq, id, type, body, count) SELECT id, type, body, count FROM sent ORDER BY seq"
            ).fetchall()
        return [event for row in rows for event in unpack(Message(*row))]

    return drain


@pytest.fixture
def postgres_world(clock, database_for: Callable[..., MigratedDatabase]) -> Iterator[World]:
    """On PostgreSQL."""
    database = database_for("trade_executor").connect()
    yield World(clock, transactions(database), _drain_of(database))
    database.dispose()


@pytest.fixture(params=["memory", "postgres"])
def both_worlds(request) -> World:
    """The same on either store."""
    return request.getfixturevalue("world" if request.param == "memory" else "postgres_world")
