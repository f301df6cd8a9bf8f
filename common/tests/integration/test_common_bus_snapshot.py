"""A delivery on the PostgreSQL bus is a transaction that lasts as long as the handler; it must not hold a snapshot."""

import threading

import psycopg

from saras_common.bus import PostgresBus
from saras_common.events import Message
from saras_common.ids import new_id

_HOLDERS = "SELECT state, backend_xmin::text FROM pg_stat_activity WHERE application_name = 'bus consumer'"


def test_a_handler_at_work_keeps_no_dead_rows_alive(database_for):
    database = database_for()
    bus = PostgresBus(database.bus_url, subscriptions={"one": {"Kind"}})
    bus.publish([Message(new_id(), "Kind", b"[1]", 1)])
    seen, stop = [], threading.Event()

    def handle(messages):
        with psycopg.connect(database.admin_url, autocommit=True) as connection:
            seen.append((len(messages), connection.execute(_HOLDERS).fetchall()))
        stop.set()

    bus.consume("one", handle, stop)
    bus.close()
    [(count, [(state, snapshot)])] = seen
    assert (count, snapshot) == (1, None)
    assert state in {"active", "idle in transaction"}
