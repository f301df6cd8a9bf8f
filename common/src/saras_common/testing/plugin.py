"""pytest fixtures for every member, loaded by the entry point in common's pyproject."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from saras_common.clock import ManualClock
from saras_common.servers import PrivateRabbit, PrivateRedis
from saras_common.testing.buses import BusSite, postgres_site, rabbit_site
from saras_common.testing.databases import MigratedDatabase, PostgresForTests


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresForTests]:
    """The session's PostgreSQL server."""
    server = PostgresForTests()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres_url(postgres: PostgresForTests) -> str:
    """The admin's URL of the session's server."""
    return postgres.admin_url


@pytest.fixture
def database_for(postgres: PostgresForTests) -> Iterator[Callable[..., MigratedDatabase]]:
    """``database_for("portfolio_service", …)``: a fresh migrated database, dropped after the test."""
    made: list[MigratedDatabase] = []

    def make(*packages: str) -> MigratedDatabase:
        made.append(postgres.database_for(*packages))
        return made[-1]

    yield make
    for database in made:
        postgres.drop(database)


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[PrivateRabbit]:
    """A RabbitMQ node of the session's own, started at first use."""
    if reason := PrivateRabbit.missing():
        pytest.skip(reason)
    server = PrivateRabbit()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A Redis of the session's own."""
    if reason := PrivateRedis.missing():
        pytest.skip(reason)
    server = PrivateRedis()
    yield server.start()
    server.stop()


@pytest.fixture(params=["postgres", pytest.param("rabbit", marks=pytest.mark.services)])
def both_buses(request: pytest.FixtureRequest) -> Iterator[BusSite]:
    """Runs the test once on each bus: ``both_buses.url``, ``both_buses.connect()``."""
    if request.param == "postgres":
        make = request.getfixturevalue("database_for")
        site = postgres_site(make())
    else:
        site = rabbit_site(request.getfixturevalue("rabbitmq"))
    yield site
    site.close()


@pytest.fixture
def manual_clock() -> ManualClock:
    """A clock that stands at an open moment of a trading day until told otherwise."""
    return ManualClock(datetime(2026, 3, 2, 5, 0, tzinfo=UTC))
