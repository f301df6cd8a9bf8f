"""Consumers that share a queue's partitions: each user's events in order, each effect once, whoever dies.

Run as a program, this file is four such consumers.
"""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict, deque
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from uuid import UUID, uuid4

import psycopg
import pytest

from saras_common.bus import connect_bus
from saras_common.consumer import Consumer
from saras_common.db import Database, driver
from saras_common.events import Allocation, AllocationPosted, OrderProgressed, OrderUpdated, pack
from saras_common.partitions import PartitionedConsumer

AT = datetime(2026, 3, 2, tzinfo=UTC)
SCHEMA = "probe_service"
QUEUE = "probe"
SUBSCRIPTIONS = {QUEUE: frozenset({OrderUpdated.type, AllocationPosted.type, OrderProgressed.type})}
NO_CHARGES = (0, 0, 0, 0, 0, 0, 0)
STEP = 1_000_000
MEMBERS = 4

EFFECTS = f"""
CREATE TABLE {SCHEMA}.effect (seq bigint GENERATED ALWAYS AS IDENTITY, member int, who int, number int);
GRANT ALL ON {SCHEMA}.effect TO {SCHEMA}
"""
APPLY = f"INSERT INTO {SCHEMA}.effect (member, who, number) SELECT %s, * FROM unnest(%s::int[], %s::int[])"


def order_of(who, number):
    return UUID(int=who * STEP + number)


def find_owners(_session, orders):
    return {order: str(UUID(int=UUID(order).int // STEP)) for order in orders}


def pieces_of(event):
    """Whom an event concerns, and as which of that user's events: the number it was made with."""
    if isinstance(event, OrderUpdated):
        return [(event.user_id.int, event.quantity)]
    if isinstance(event, AllocationPosted):
        return [(part.user_id.int, part.quantity) for part in event.allocations]
    return [divmod(order.int, STEP) for order in event.order_ids]


def made(users, count, seed):
    """Events of all three kinds; each user's are numbered from 1 on."""
    rng = random.Random(seed)
    last = Counter()

    def piece(who):
        last[who] += 1
        return who, last[who]

    for _ in range(count):
        kind = rng.random()
        if kind < 0.7:
            who, number = piece(rng.randrange(1, users + 1))
            yield OrderUpdated(
                at=AT, order_id=order_of(who, number), user_id=UUID(int=who), instrument="NSE:A", side="BUY",
                product="CNC", quantity=number, status="FILLED", filled_quantity=0, filled_value_paise=0,
                charges_paise=0,
            )  # fmt: skip
            continue
        crowd = [piece(who) for who in rng.sample(range(1, users + 1), 12)]
        if kind < 0.85:
            shares = [
                Allocation(
                    order_id=order_of(*one), user_id=UUID(int=one[0]), quantity=one[1], value_paise=0,
                    charges=NO_CHARGES,
                )
                for one in crowd
            ]  # fmt: skip
            yield AllocationPosted(
                at=AT, account_id="main", batch_id=uuid4(), block_id=uuid4(), instrument="NSE:A", side="BUY",
                product="CNC", kind="fill", traded_at=AT, allocations=shares,
            )  # fmt: skip
        else:
            yield OrderProgressed(at=AT, order_ids=[order_of(*one) for one in crowd], status="WORKING")


def apply(member, pause_s, session, events):
    pieces = [piece for event in events for piece in pieces_of(event)]
    driver(session).execute(APPLY, [member, [who for who, _ in pieces], [number for _, number in pieces]])
    time.sleep(pause_s)


def member_of(bus, database, member, count, *, batch=4, pause_s=0.0):
    """One consumer; its deliveries are small, so that there are many."""

    def feed(source, _batch):
        return Consumer(bus, QUEUE, database, partial(apply, member, pause_s), source=source, batch=batch)

    return PartitionedConsumer(bus, QUEUE, database, feed, count=count, batch=8, find_owners=find_owners)


def run_members(bus_url, database_url):
    """Four processes, copies of this one; their ids on the standard output, until it ends with its input."""
    pids = []
    for member in range(MEMBERS):
        pid = os.fork()
        if pid == 0:
            bus = connect_bus(bus_url, subscriptions=SUBSCRIPTIONS)
            database = Database(database_url, schema=SCHEMA)
            member_of(bus, database, member, MEMBERS, pause_s=0.002).run(threading.Event())
        pids.append(pid)
    sys.stdout.write(" ".join(map(str, pids)) + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def migrated(database_for):
    migrated = database_for(SCHEMA)
    with psycopg.connect(migrated.admin_url, autocommit=True) as connection:
        connection.execute(EFFECTS)
    return migrated


class Effects:
    """What the consumers did, as the database has it."""

    def __init__(self, url):
        self._connection = psycopg.connect(url, autocommit=True)

    def count(self):
        return self._connection.execute(f"SELECT count(*) FROM {SCHEMA}.effect").fetchone()[0]

    def by(self, column):
        found = defaultdict(list)
        for key, number in self._connection.execute(f"SELECT {column}, number FROM {SCHEMA}.effect ORDER BY seq"):
            found[key].append(number)
        return found

    def until(self, count, timeout_s=60):
        deadline = time.monotonic() + timeout_s
        while self.count() < count:
            assert time.monotonic() < deadline, f"{self.count()} of {count} effects"
            time.sleep(0.05)

    def expect(self, events):
        """Every piece of ``events`` once, each user's in order."""
        pieces = sum(len(pieces_of(event)) for event in events)
        self.until(pieces)
        for who, found in self.by("who").items():
            assert found == list(range(1, len(found) + 1)), f"user {who}: {found}"
        assert self.count() == pieces

    def until_layout(self, layout, timeout_s=20):
        deadline = time.monotonic() + timeout_s
        while self.layout() != layout:
            assert time.monotonic() < deadline, f"laid out: {self.layout()}"
            time.sleep(0.05)

    def layout(self):
        rows = self._connection.execute(f"SELECT event_id FROM {SCHEMA}.inbox WHERE consumer = '{QUEUE}.layout'")
        return sorted(row[0].int for row in rows)


@pytest.fixture
def effects(migrated):
    effects = Effects(migrated.admin_url)
    yield effects
    effects._connection.close()


@contextmanager
def four(bus_url, database_url):
    command = [sys.executable, __file__, bus_url, database_url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield [int(pid) for pid in process.stdout.readline().split()]
        finally:
            process.stdin.close()


def publish(bus, events, packet=120):
    for start in range(0, len(events), packet):
        bus.publish(list(pack(events[start : start + packet])))


def test_four_consumers_share_a_queue_and_one_is_killed(both_buses, migrated, effects):
    events = list(made(users=300, count=3000, seed=7))
    bus = both_buses.connect(SUBSCRIPTIONS)
    waiting = deque(events)
    publish(bus, [waiting.popleft() for _ in range(500)])
    with four(both_buses.url, migrated.url) as pids:
        while set(effects.by("member")) != set(range(MEMBERS)) and len(waiting) > 500:
            publish(bus, [waiting.popleft() for _ in range(20)])
            time.sleep(0.25)
        os.kill(pids[random.Random(both_buses.name).randrange(MEMBERS)], signal.SIGKILL)
        publish(bus, list(waiting))
        effects.expect(events)
    assert set(effects.by("member")) == set(range(MEMBERS))


@contextmanager
def running(*members):
    stop = threading.Event()
    threads = [threading.Thread(target=member.run, args=(stop,)) for member in members]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive(), "a member does not stop"


def test_the_number_of_partitions_changes_while_events_wait(both_buses, migrated, effects):
    """From one to two, to three and back to one; whoever comes with another number works off the old ones first."""
    events = list(made(users=60, count=1000, seed=11))
    bus, database = both_buses.connect(SUBSCRIPTIONS), migrated.connect(pool_size=12)
    make = partial(member_of, bus, database)
    pieces = [len(pieces_of(event)) for event in events]
    publish(bus, events[:300])
    with running(make(1, 1, pause_s=0.005)):
        effects.until(sum(pieces[:100]))
    assert effects.layout() == []
    with running(make(2, 2, pause_s=0.03)):
        effects.until(sum(pieces[:150]))
        publish(bus, events[300:600])
        effects.until(sum(pieces[:330]))
    assert effects.layout() == [2000, 2001]
    assert effects.count() < sum(pieces[:600]), "nothing was left in the old partitions"
    with running(make(3, 3), make(4, 3)):
        publish(bus, events[600:900])
        effects.until(sum(pieces[:900]))
        assert effects.layout() == [3000, 3001, 3002]
    with running(make(5, 1)):  # what is partitioned stays so, though by one
        publish(bus, events[900:950])
        effects.until(sum(pieces[:950]))
        assert effects.layout() == [1000]
    with running(make(6, 1)):  # nothing waits: plain again
        effects.until_layout([])
        publish(bus, events[950:])
        effects.expect(events)
    database.dispose()


def test_members_with_another_number_wait_for_the_old_ones(both_buses, migrated, effects):
    bus, database = both_buses.connect(SUBSCRIPTIONS), migrated.connect(pool_size=12)
    events = list(made(users=20, count=200, seed=3))
    old = ExitStack()
    with old:
        old.enter_context(running(member_of(bus, database, 2, 2)))
        effects.until_layout([2000, 2001])
        with running(member_of(bus, database, 3, 3)):
            publish(bus, events[:100])
            effects.until(sum(len(pieces_of(event)) for event in events[:100]))
            assert set(effects.by("member")) == {2}
            old.close()
            publish(bus, events[100:])
            effects.expect(events)
            assert set(effects.by("member")) == {2, 3}
    database.dispose()


if __name__ == "__main__":
    run_members(*sys.argv[1:])
