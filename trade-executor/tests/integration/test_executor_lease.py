"""One hand on the broker: leases in the database's own time."""

import time
from uuid import uuid4

import pytest

from saras_common.clock import SystemClock
from trade_executor.broker import NotAllowed
from trade_executor.engine.leadership import Leadership
from trade_executor.store import LeaseLost
from trade_executor.store.postgres import transactions

TTL_S, GRACE_S = 0.4, 0.3


@pytest.fixture
def store_of(database_for):
    database = database_for("trade_executor").connect()
    yield transactions(database)
    database.dispose()


def leadership(store_of):
    return Leadership("main", uuid4(), store_of, SystemClock(), ttl_s=TTL_S, grace_s=GRACE_S)


def test_a_successor_waits_for_the_lease_and_the_calls_on_their_way(store_of):
    first, second = leadership(store_of), leadership(store_of)
    assert first.acquire() is not None
    assert second.acquire() is None
    time.sleep(TTL_S + 0.05)
    assert first.lease is None, "the deadline of its own clock has passed"
    assert second.acquire() is None, "a call may still be on its way"
    time.sleep(GRACE_S)
    taken = second.acquire()
    assert taken is not None
    assert taken.epoch == 2
    assert not first.renew()
    assert first.acquire() is None


def test_an_old_leader_writes_nothing_and_sends_nothing(store_of):
    first, second = leadership(store_of), leadership(store_of)
    old = first.acquire()
    time.sleep(TTL_S + GRACE_S + 0.05)
    second.acquire()
    with pytest.raises(LeaseLost), store_of() as store:
        store.fence(old)
    with pytest.raises(NotAllowed):
        first.guard()


def test_renewing_keeps_it_and_releasing_hands_it_over(store_of):
    first, second = leadership(store_of), leadership(store_of)
    first.acquire()
    for _ in range(6):
        time.sleep(TTL_S / 4)
        assert first.renew()
    first.guard()
    first.release()
    assert second.acquire() is not None
    with pytest.raises(NotAllowed):
        first.guard()


def test_the_same_process_takes_it_again_under_a_new_epoch(store_of):
    first = leadership(store_of)
    one = first.acquire()
    two = first.acquire()
    assert two.epoch == one.epoch + 1
    with pytest.raises(LeaseLost), store_of() as store:
        store.fence(one)
