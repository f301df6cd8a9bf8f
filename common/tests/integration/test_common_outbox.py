import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from sqlalchemy import text

from saras_common.bus import BusUnavailable
from saras_common.consumer import BURST_BYTES, Burst, Consumer
from saras_common.errors import Unavailable
from saras_common.events import (
    CancelRequested,
    FundsMoved,
    Message,
    pack,
    unpack,
)
from saras_common.inbox import Inbox
from saras_common.outbox import Outbox, Relay

AT = datetime(2026, 3, 2, tzinfo=UTC)
SCHEMA = "probe_service"
QUEUE = "trade-executor"


class MemoryBus:
    """Keeps what was published; refuses while ``down``."""

    def __init__(self):
        self.messages: list[Message] = []
        self.down = False

    def publish(self, messages):
        if self.down:
            raise BusUnavailable
        self.messages += messages

    def ids(self):
        return [event.id for message in self.messages for event in unpack(message)]


@pytest.fixture
def migrated(database_for):
    return database_for(SCHEMA)


@pytest.fixture
def database(migrated):
    database = migrated.connect(pool_size=12)
    yield database
    database.dispose()


@pytest.fixture
def bus():
    return MemoryBus()


@pytest.fixture
def relay(database, bus):
    return Relay(database, bus, SCHEMA)


def cancels(count):
    return [CancelRequested(at=AT, order_id=uuid4(), account_id="main") for _ in range(count)]


def moves(count):
    return [
        FundsMoved(at=AT, movement_id=uuid4(), user_id=uuid4(), account_id="main", amount_paise=number)
        for number in range(count)
    ]


def store(database, events):
    with database.for_service() as session:
        Outbox(SCHEMA).add(session, events)
    return [event.id for event in events]


def waiting(database):
    with database.for_service() as session:
        return Outbox(SCHEMA).depth(session)


@contextmanager
def running(*workers):
    stop = threading.Event()
    threads = [threading.Thread(target=worker.run, args=(stop,)) for worker in workers]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()


def until(condition, timeout_s=20):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.01)


# --- out ----------------------------------------------------------------------------------------------------------


def test_events_leave_once_and_in_order(database, bus, relay):
    ids = store(database, [*cancels(3), *moves(2), *cancels(1500)])
    assert waiting(database) == 1505
    assert relay.lag_s() >= 0
    assert relay.drain_once() == 1505
    assert relay.drain_once() == 0
    assert bus.ids() == ids
    assert waiting(database) == 0
    assert relay.published == 1505


def test_nothing_leaves_of_a_transaction_undone(database, bus, relay):
    def fail():
        with database.for_service() as session:
            Outbox(SCHEMA).add(session, cancels(1))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert relay.drain_once() == 0
    assert bus.messages == []


def test_events_nobody_hears_are_not_stored(database, monkeypatch):
    monkeypatch.setattr("saras_common.events.messages.queues_of", lambda _kind: frozenset())
    store(database, cancels(1))
    assert waiting(database) == 0


def test_a_bus_that_is_down_keeps_the_rows(database, bus, relay):
    ids = store(database, cancels(5))
    bus.down = True
    with pytest.raises(BusUnavailable):
        relay.drain_once()
    assert waiting(database) == 5
    bus.down = False
    assert relay.drain_once() == 5
    assert bus.ids() == ids


def test_a_row_that_commits_late_is_taken_late_not_skipped(database, bus, relay):
    """The loss of every `id > last` cursor: a lower number commits after a higher one was read."""
    late = cancels(1)
    with database.for_service() as session:
        Outbox(SCHEMA).add(session, late)
        early = store(database, cancels(1))
        assert relay.drain_once() == 1
    assert relay.drain_once() == 1
    assert bus.ids() == [*early, late[0].id]


def test_eight_writers_lose_nothing(database, bus, relay):
    """Each writer's own events stay in order, and all arrive, with two relays at work."""
    written: dict[int, list] = {}

    def write(number):
        written[number] = []
        for turn in range(30):
            events = cancels(1 + turn % 3)
            with database.for_service() as session:
                Outbox(SCHEMA).add(session, events)
                time.sleep(0.001 * ((number * 7 + turn) % 4))
            written[number] += [event.id for event in events]

    with running(relay, Relay(database, bus, SCHEMA)):
        writers = [threading.Thread(target=write, args=(number,)) for number in range(8)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        total = sum(map(len, written.values()))
        until(lambda: len(bus.ids()) >= total)
    seen = bus.ids()
    assert len(seen) == len(set(seen)) == total
    place = {event_id: index for index, event_id in enumerate(seen)}
    for ids in written.values():
        assert [place[event_id] for event_id in ids] == sorted(place[event_id] for event_id in ids)


def test_relay_is_woken_by_the_commit(database, bus):
    with running(Relay(database, bus, SCHEMA, poll_s=10)):
        time.sleep(0.3)
        started = time.monotonic()
        store(database, cancels(1))
        until(lambda: bus.messages)
        assert time.monotonic() - started < 2


def test_relay_survives_an_outage_of_the_bus(database, bus, relay):
    with running(relay):
        bus.down = True
        ids = store(database, cancels(3))
        time.sleep(0.3)
        bus.down = False
        until(lambda: bus.ids() == ids)


def test_prune_forgets_old_published_rows_only(database, bus):
    relay = Relay(database, bus, SCHEMA, keep_published_s=0)
    store(database, cancels(2))
    relay.drain_once()
    kept = store(database, cancels(1))
    time.sleep(0.01)
    assert relay.prune() == 1
    relay.drain_once()
    assert bus.ids()[-1:] == kept


# --- in -----------------------------------------------------------------------------------------------------------


def test_inbox_tells_fresh_from_seen(database):
    inbox = Inbox(SCHEMA, "one")
    events = cancels(4)
    with database.for_service() as session:
        assert inbox.fresh(session, [events[1], events[0], events[1]]) == [events[1], events[0]]
    with database.for_service() as session:
        assert inbox.fresh(session, events) == events[2:]
        assert inbox.fresh(session, []) == []
        assert Inbox(SCHEMA, "two").fresh(session, events) == events


def test_inbox_gives_each_event_to_one_of_many_at_once(database):
    inbox = Inbox(SCHEMA, "one")
    events = cancels(200)
    got = []

    def take(order):
        with database.for_service() as session:
            fresh = inbox.fresh(session, order)
            time.sleep(0.02)
        got.extend(event.id for event in fresh)

    threads = [threading.Thread(target=take, args=(events[:: 1 - 2 * (number % 2)],)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == sorted(event.id for event in events)


def test_inbox_forgets_what_is_older_than_told(database):
    inbox = Inbox(SCHEMA, "one")
    with database.for_service() as session:
        inbox.fresh(session, cancels(3))
        assert inbox.prune(session, datetime(2020, 1, 1, tzinfo=UTC)) == 0
        assert inbox.prune(session, datetime.now(UTC).replace(year=2100)) == 3


# --- outbox → bus → inbox -----------------------------------------------------------------------------------------


class Book:
    """A handler that writes one row an event and fails at some."""

    def __init__(self, poison=()):
        self.poison = set(poison)
        self.down = 0
        self.order = []

    def __call__(self, session, events):
        if self.down:
            self.down -= 1
            raise Unavailable
        for event in events:
            session.execute(text("INSERT INTO coin (id, user_id, paise) VALUES (:id, :id, 1)"), {"id": event.id})
        for event in events:
            if event.id in self.poison:
                raise ValueError(f"cannot apply {event.id}")
        self.order += [event.id for event in events]


def applied(database):
    with database.for_service() as session:
        return set(session.execute(text("SELECT id FROM coin")).scalars())


def consumer_on(bus, database, book):
    return Consumer(bus, QUEUE, database, book)


def deliveries(*lots):
    return [message for lot in lots for message in pack(lot)]


def test_every_event_is_applied_once_whatever_the_bus_repeats(database):
    consumer = consumer_on(None, database, Book())
    first, second = deliveries(cancels(3)), deliveries(cancels(2))
    consumer.deliver(first)
    consumer.deliver([*second, *first])
    consumer.deliver(first)
    assert consumer.applied == 5
    assert consumer.repeated == 6
    assert len(applied(database)) == 5


def test_who_can_be_late_lets_a_burst_of_the_others_go_first(database):
    burst, order, inside, go_on = Burst(), [], threading.Event(), threading.Event()

    def quick(_session, events):
        inside.set()
        assert go_on.wait(10)
        order.append(("quick", len(events)))

    heap = deliveries(cancels(BURST_BYTES // 100))
    first = Consumer(None, "first", database, quick, burst=burst)
    late = Consumer(
        None, "late", database, lambda _session, events: order.append(("late", len(events))), patience_s=30, burst=burst
    )
    threads = [
        threading.Thread(target=first.deliver, args=(heap,)),
        threading.Thread(target=late.deliver, args=(heap,)),
    ]
    threads[0].start()
    assert inside.wait(10)
    threads[1].start()
    go_on.set()
    for thread in threads:
        thread.join(20)
    assert [name for name, _ in order] == ["quick", "late"]
    assert late.applied == first.applied == BURST_BYTES // 100


def test_patience_ends_and_a_small_delivery_is_no_burst(database):
    burst = Burst()
    impatient = Consumer(None, "late", database, Book(), patience_s=0.01, burst=burst)
    with burst.carrying():
        impatient.deliver(deliveries(cancels(1)))
    assert impatient.applied == 1
    seen = []
    Consumer(None, "small", database, lambda _session, _events: seen.append(burst._working), burst=burst).deliver(
        deliveries(cancels(1))
    )
    assert seen == [0]


def test_a_poison_event_is_parked_and_its_neighbours_are_applied(database):
    lots = [cancels(3), moves(4), cancels(2)]
    bad = lots[1][2]
    book = Book([bad.id])
    consumer = consumer_on(None, database, book)
    consumer.deliver(deliveries(*lots))
    good = [event.id for lot in lots for event in lot if event is not bad]
    assert applied(database) == set(good)
    assert book.order == good
    assert (consumer.applied, consumer.parked) == (8, 1)
    with database.for_service() as session:
        [parked] = consumer.inbox.list_parked(session)
    assert parked.event == bad
    assert parked.reason == f"ValueError: cannot apply {bad.id}"
    consumer.deliver(deliveries(*lots))
    assert applied(database) == set(good)


def test_a_parked_event_can_be_applied_later(database):
    [event] = cancels(1)
    book = Book([event.id])
    consumer = consumer_on(None, database, book)
    consumer.deliver(deliveries([event]))
    book.poison.clear()
    assert consumer.replay(event.id)
    assert applied(database) == {event.id}
    assert not consumer.replay(event.id)
    with database.for_service() as session:
        assert consumer.inbox.list_parked(session) == []


def test_an_outage_is_not_the_events_fault(database):
    book = Book()
    book.down = 1
    consumer = consumer_on(None, database, book)
    with pytest.raises(Unavailable):
        consumer.deliver(deliveries(cancels(1)))
    assert consumer.parked == 0


def test_a_message_that_is_not_what_it_says_is_the_bus_to_park(database):
    consumer = consumer_on(None, database, Book())
    for message in (
        Message(uuid4(), "order.forgotten.v1", b"[]", 1),
        Message(uuid4(), CancelRequested.type, b"[{}]", 1),
        Message(uuid4(), CancelRequested.type, b"\xff", 1),
    ):
        with pytest.raises(ValueError):
            consumer.deliver([message])
    assert applied(database) == set()


def test_from_outbox_to_inbox_with_poison_and_strangers(database, both_buses):
    """On each bus: everything good is applied, a poison event is parked in the database, a stranger on the bus."""
    bus = both_buses.connect()
    events = [*cancels(400), *moves(3), *cancels(300)]
    book = Book([events[5].id])
    consumer = consumer_on(bus, database, book)
    stranger = Message(uuid4(), CancelRequested.type, b"[17]", 1)
    with running(Relay(database, bus, SCHEMA), consumer):
        store(database, events[:400])
        bus.publish([stranger])
        store(database, events[400:])
        until(lambda: len(applied(database)) == 702, 60)
        until(lambda: len(bus.parked(QUEUE)) == 1)
    assert [parked.message for parked in bus.parked(QUEUE)] == [stranger]
    with database.for_service() as session:
        assert [parked.event for parked in consumer.inbox.list_parked(session)] == [events[5]]
