"""A server that hangs, or a way to it that swallows everything, holds nobody for ever."""

import time

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from saras_common.db import Database, connect, driver
from saras_common.db.patience import HAS_TRANSACTION_TIMEOUT
from saras_common.errors import Unavailable
from saras_common.testing.way import Way

SCHEMA = "portfolio_service"
STATEMENT_MS = 300
BOUND_S = 8.0
"""Far above what is meant to happen, far below for ever."""


@pytest.fixture
def way(database_for):
    made = database_for(SCHEMA)
    url = make_url(made.url)
    with Way(url.port) as way:
        yield way, url.set(port=way.port).render_as_string(hide_password=False)


@pytest.fixture
def database(way):
    made = Database(way[1], schema=SCHEMA, pool_size=2, statement_timeout_ms=STATEMENT_MS)
    yield made
    made.dispose()


def ask(database):
    with database.for_service() as session:
        return session.execute(text("SELECT 1")).scalar_one()


def assert_unavailable(database):
    started = time.monotonic()
    with pytest.raises(Unavailable):
        ask(database)
    assert time.monotonic() - started < BOUND_S


def test_a_way_that_hangs_is_given_up_and_taken_again(way, database):
    assert ask(database) == 1
    way[0].hang()
    assert_unavailable(database)
    assert_unavailable(database)
    way[0].mend()
    assert ask(database) == 1


def test_half_open_connections_are_replaced_at_the_first_that_is_noticed(way, database):
    with database.for_service() as one, database.for_service() as other:
        one.execute(text("SELECT 1"))
        other.execute(text("SELECT 1"))
    way[0].hang()
    way[0].leave_half_open()
    assert_unavailable(database)
    assert ask(database) == ask(database) == 1


def test_a_pipelined_transaction_is_given_up_too(way, database):
    def ask_pipelined():
        with database.pipelined_for_service() as session:
            way[0].hang()
            session.execute(text("SELECT 1"))

    started = time.monotonic()
    with pytest.raises(Unavailable):
        ask_pipelined()
    assert time.monotonic() - started < BOUND_S
    way[0].mend()
    assert ask(database) == 1


def test_a_cut_is_over_with_the_first_answer(way, database):
    assert ask(database) == 1
    way[0].cut()
    assert_unavailable(database)
    assert_unavailable(database)
    way[0].mend()
    assert ask(database) == 1


def test_what_the_server_says_itself_does_not_end_the_connection(way):
    with connect(way[1], silence_s=5.0) as connection:
        connection.execute("SET statement_timeout = 100")
        with pytest.raises(Exception, match="statement timeout"):
            connection.execute("SELECT pg_sleep(3)")
        assert list(connection.notifies(timeout=0.1)) == []
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_listener_that_asks_is_told_of_the_silence(way):
    connection = connect(way[1], silence_s=0.3)
    way[0].hang()
    with pytest.raises(Exception, match="timeout"):
        connection.execute("SELECT 1")
    assert connection.closed


IDLE = """
SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND datname = current_database()
"""


def wait_until_none_is_idle(url):
    deadline = time.monotonic() + BOUND_S
    with connect(url) as other:
        assert other.execute(IDLE).fetchone() == (1,)
        while other.execute(IDLE).fetchone() != (0,):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_who_was_cut_off_within_a_transaction_keeps_no_lock(way):
    database = Database(way[1], schema=SCHEMA, pool_size=1, idle_in_transaction_s=0.5)

    def write_on_a_lost_way():
        with database.for_service() as session:
            way[0].hang()  # the server will never hear of this session again
            way[0].leave_half_open()
            wait_until_none_is_idle(way[1])
            way[0].bury()
            session.execute(text("SELECT 1"))

    with pytest.raises(Unavailable):
        write_on_a_lost_way()
    database.dispose()


def test_what_was_given_up_within_a_pipeline_is_ended_by_the_next_connection(way):
    database = Database(way[1], schema=SCHEMA, pool_size=1, statement_timeout_ms=1500)

    def write_on_a_lost_way():
        with database.pipelined_for_service() as session:
            driver(session).execute("SELECT pg_advisory_xact_lock(7)").fetchone()
            way[0].hang()
            driver(session).execute("SELECT 1").fetchone()

    with pytest.raises(Unavailable):
        write_on_a_lost_way()
    way[0].leave_half_open()
    assert ask(database) == 1
    with database.for_service() as session:
        assert session.execute(text("SELECT pg_try_advisory_xact_lock(7)")).scalar_one()
    database.dispose()


def test_a_transaction_ends_after_its_time_within_a_pipeline_too(way):
    database = Database(way[1], schema=SCHEMA, pool_size=1, transaction_s=0.5)

    def take_too_long():
        with database.pipelined_for_service() as session:
            driver(session).execute("SELECT 1").fetchone()
            time.sleep(1.0)
            driver(session).execute("SELECT 1").fetchone()

    with connect(way[1]) as other:
        if other.info.server_version < HAS_TRANSACTION_TIMEOUT:
            pytest.skip("this server has no transaction_timeout")
    with pytest.raises(Unavailable):
        take_too_long()
    database.dispose()
