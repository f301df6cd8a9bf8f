"""What every bus must do; the ``both_buses`` fixture runs each test on each implementation."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from uuid import UUID, uuid4

import pytest

from saras_common.bus import Bus, BusUnavailable, Handle
from saras_common.errors import NotFound, Unavailable
from saras_common.events import Message
from saras_common.testing.buses import BusSite

SUBSCRIPTIONS = {"contract.one": frozenset({"alpha.v1", "both.v1"}), "contract.two": frozenset({"both.v1"})}
ONE, TWO = SUBSCRIPTIONS

_CONSUMER = """
import sys, threading, time
from saras_common.bus import connect_bus

def handle(messages):
    print("holding", len(messages), flush=True)
    time.sleep(600)

subscriptions = {"contract.one": {"alpha.v1", "both.v1"}, "contract.two": {"both.v1"}}
bus = connect_bus(sys.argv[1], subscriptions=subscriptions)
bus.consume("contract.one", handle, threading.Event(), batch=10)
"""


def messages_of(kind: str, bodies: Sequence[bytes]) -> list[Message]:
    """One message for each body."""
    return [Message(uuid4(), kind, body, 1) for body in bodies]


def numbered(count: int, kind: str = "alpha.v1", start: int = 0) -> list[Message]:
    """Messages with their number as the body."""
    return messages_of(kind, [b"[%d]" % number for number in range(start, start + count)])


def until(condition: Callable[[], bool], timeout_s: float = 20) -> None:
    """Wait for ``condition``; fails the test when it does not come."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)


@contextmanager
def consuming(bus: Bus, handle: Handle, queue: str = ONE, batch: int = 64) -> Iterator[None]:
    """A consumer in a thread of its own while the block runs."""
    stop = threading.Event()
    thread = threading.Thread(target=bus.consume, args=(queue, handle, stop), kwargs={"batch": batch})
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive(), "the consumer does not stop"


class Recorder:
    """A handler that keeps what it got and fails when told to."""

    def __init__(self, fails: Callable[[Message], Exception | None] = lambda _message: None) -> None:
        self.bodies: list[bytes] = []
        self.sizes: list[int] = []
        self.tries: dict[UUID, int] = {}
        self._fails = fails

    def __call__(self, messages: list[Message]) -> None:
        self.sizes.append(len(messages))
        for message in messages:
            self.tries[message.id] = self.tries.get(message.id, 0) + 1
        for message in messages:
            if error := self._fails(message):
                raise error
        self.bodies += [message.body for message in messages]


@pytest.fixture
def bus(both_buses: BusSite) -> Bus:
    return both_buses.connect(SUBSCRIPTIONS)


def test_delivers_in_order_and_whole(bus: Bus) -> None:
    sent = numbered(500)
    for start in range(0, 500, 50):
        bus.publish(sent[start : start + 50])
    got: list[Message] = []
    with consuming(bus, got.extend):
        until(lambda: len(got) >= 500)
    assert got == sent
    assert bus.depth(ONE) == 0


def test_batches_are_bounded(bus: Bus) -> None:
    bus.publish(numbered(100))
    recorder = Recorder()
    with consuming(bus, recorder, batch=7):
        until(lambda: len(recorder.bodies) == 100)
    assert max(recorder.sizes) == 7


def test_deliveries_are_bounded_in_events(bus: Bus) -> None:
    bus.publish([Message(uuid4(), "alpha.v1", b"[]", 4000) for _ in range(6)])
    recorder = Recorder()
    with consuming(bus, recorder):
        until(lambda: len(recorder.bodies) == 6)
    assert max(recorder.sizes) <= 2


def test_each_subscriber_gets_its_own_copy(bus: Bus) -> None:
    bus.publish([*numbered(2), *numbered(3, "both.v1")])
    one, two = Recorder(), Recorder()
    with consuming(bus, one), consuming(bus, two, TWO):
        until(lambda: len(one.bodies) == 5 and len(two.bodies) == 3)
    assert two.bodies == [b"[0]", b"[1]", b"[2]"]


def test_unheard_kinds_are_dropped(bus: Bus) -> None:
    bus.publish(numbered(3, "unheard.v1"))
    bus.publish([])
    bus.publish(numbered(1))
    until(lambda: bus.depth(ONE) == 1)
    assert bus.depth(TWO) == 0


def test_depth_counts_what_waits(bus: Bus) -> None:
    bus.publish(numbered(30))
    until(lambda: bus.depth(ONE) == 30)
    with consuming(bus, Recorder()):
        until(lambda: bus.depth(ONE) == 0)


def test_a_failed_delivery_comes_again_in_order(bus: Bus) -> None:
    failures = iter([RuntimeError("first"), RuntimeError("second")])
    recorder = Recorder(lambda message: next(failures, None) if message.body == b"[3]" else None)
    sent = numbered(10)
    bus.publish(sent)
    with consuming(bus, recorder):
        until(lambda: len(recorder.bodies) == 10)
    assert recorder.bodies == [message.body for message in sent]
    assert bus.parked(ONE) == []


def test_poison_is_parked_and_its_neighbours_pass(bus: Bus) -> None:
    recorder = Recorder(lambda message: ValueError("cannot read \x00 this") if message.body == b"[4]" else None)
    sent = numbered(10)
    bus.publish(sent)
    with consuming(bus, recorder):
        until(lambda: len(bus.parked(ONE)) == 1)
        until(lambda: len(recorder.bodies) == 9)
    assert recorder.bodies == [message.body for message in sent if message is not sent[4]]
    [parked] = bus.parked(ONE)
    assert parked.message == sent[4]
    assert parked.reason == "ValueError: cannot read  this"
    assert parked.attempts == 5
    assert time.time() - parked.parked_at.timestamp() < 60
    assert bus.depth(ONE) == 0


def test_replay_brings_a_parked_message_back(bus: Bus) -> None:
    ill = [True]
    recorder = Recorder(lambda message: ValueError("ill") if message.body == b"[1]" and ill else None)
    sent = numbered(3)
    bus.publish(sent)
    with consuming(bus, recorder):
        until(lambda: len(bus.parked(ONE)) == 1)
        ill.clear()
        with pytest.raises(NotFound):
            bus.replay(ONE, uuid4())
        bus.replay(ONE, sent[1].id)
        until(lambda: len(recorder.bodies) == 3)
    assert recorder.bodies == [b"[0]", b"[2]", b"[1]"]
    assert bus.parked(ONE) == []


def test_an_outage_of_the_handler_is_waited_out_not_counted(bus: Bus) -> None:
    failures = iter([Unavailable()] * 6)
    recorder = Recorder(lambda _message: next(failures, None))
    bus.publish(numbered(5))
    with consuming(bus, recorder):
        until(lambda: len(recorder.bodies) == 5, 40)
    assert recorder.bodies == [b"[0]", b"[1]", b"[2]", b"[3]", b"[4]"]
    assert bus.parked(ONE) == []


def test_two_consumers_keep_the_order(bus: Bus) -> None:
    got: list[bytes] = []
    busy = threading.Lock()

    def handle(messages: list[Message]) -> None:
        assert busy.acquire(blocking=False), "two deliveries at once"
        time.sleep(0.005)
        got.extend(message.body for message in messages)
        busy.release()

    with consuming(bus, handle, batch=5), consuming(bus, handle, batch=5):
        bus.publish(numbered(200))
        until(lambda: len(got) == 200)
    assert got == [b"[%d]" % number for number in range(200)]


def test_nothing_is_lost_when_a_consumer_is_killed(bus: Bus, both_buses: BusSite) -> None:
    bus.publish(numbered(50))
    with subprocess.Popen(
        [sys.executable, "-c", _CONSUMER, both_buses.url], stdout=subprocess.PIPE
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"holding")
        process.kill()
    recorder = Recorder()
    with consuming(bus, recorder):
        until(lambda: len(recorder.bodies) >= 50)
    assert recorder.bodies == [b"[%d]" % number for number in range(50)]


def test_stopping_in_a_delivery_gives_it_back(bus: Bus) -> None:
    bus.publish(numbered(5))
    tried = threading.Event()

    def down(_messages: list[Message]) -> None:
        tried.set()
        raise Unavailable

    with consuming(bus, down):
        assert tried.wait(10)
    recorder = Recorder()
    with consuming(bus, recorder):
        until(lambda: len(recorder.bodies) == 5)
    assert recorder.bodies == [b"[%d]" % number for number in range(5)]


def test_an_outage_of_the_bus_loses_nothing(bus: Bus, both_buses: BusSite) -> None:
    """The broker is killed between two publishes and comes back; producer and consumer find their way back."""
    recorder = Recorder()
    bus.publish(numbered(20))
    with consuming(bus, recorder):
        until(lambda: len(recorder.bodies) == 20)
        bus.publish(numbered(20, start=20))
        both_buses.down()
        with pytest.raises(BusUnavailable) as caught:
            bus.publish(numbered(1, start=1000))
        assert caught.value.retry_after_s is not None
        with pytest.raises(BusUnavailable):
            bus.check()
        both_buses.up()
        publish_when_up(bus, numbered(20, start=40))
        until(lambda: {b"[%d]" % number for number in range(60)} <= set(recorder.bodies), 40)
    assert bus.parked(ONE) == []


def test_the_unknown_are_messages_too(bus: Bus) -> None:
    """Bodies are bytes to a bus: empty, binary and large ones pass."""
    sent = messages_of("alpha.v1", [b"", bytes(range(256)), b"x" * 2_000_000])
    bus.publish(sent)
    got: list[Message] = []
    with consuming(bus, got.extend):
        until(lambda: len(got) == 3)
    assert got == sent


def test_many_threads_publish_through_one_client(bus: Bus) -> None:
    threads = [threading.Thread(target=bus.publish, args=(numbered(100, start=100 * number),)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recorder = Recorder()
    with consuming(bus, recorder):
        until(lambda: len(recorder.bodies) == 400)
    assert {int(body[1:-1]) for body in recorder.bodies} == set(range(400))


def test_check_and_close(bus: Bus) -> None:
    bus.check()
    bus.close()
    bus.close()


def publish_when_up(bus: Bus, messages: Sequence[Message]) -> None:
    for _ in range(100):
        with suppress(BusUnavailable):
            bus.publish(messages)
            return
        time.sleep(0.2)
    raise AssertionError("the bus does not come back")


def test_partitions_are_queues_of_their_own(both_buses: BusSite) -> None:
    """What goes into one comes out of that one, in order; what waits survives an outage of the bus."""
    bus, queue = both_buses.connect(SUBSCRIPTIONS), f"contract-{uuid4()}"
    partitions = bus.partition(queue, 12)
    assert len(set(partitions)) == 12
    assert bus.partition(queue, 12) == partitions
    assert not set(bus.partition(queue, 3)) & set(partitions)

    def publish(start: int) -> None:
        messages = numbered(48, start=start)
        bus.publish_to([(partitions[number % 12], message) for number, message in enumerate(messages)])

    publish(0)
    both_buses.down()
    with pytest.raises(BusUnavailable):
        publish(1000)
    both_buses.up()
    until(lambda: _answers(bus))
    publish(48)
    assert [bus.depth(partition) for partition in partitions] == [8] * 12
    for number in (0, 7, 11):
        recorder = Recorder()
        with consuming(bus, recorder, partitions[number]):
            until(lambda recorder=recorder: len(recorder.bodies) == 8)  # type: ignore[misc]
        assert recorder.bodies == [b"[%d]" % expected for expected in range(number, 96, 12)]
    assert bus.depth(ONE) == 0


def test_one_consumer_of_a_partition_is_fed_at_a_time(bus: Bus) -> None:
    partition = bus.partition(f"contract-{uuid4()}", 2)[0]
    bus.publish_to([(partition, message) for message in numbered(40)])
    handling, most, seen = 0, 0, 0
    lock = threading.Lock()

    def handle(messages: list[Message]) -> None:
        nonlocal handling, most, seen
        with lock:
            handling += 1
            most, seen = max(most, handling), seen + len(messages)
        time.sleep(0.01)
        with lock:
            handling -= 1

    with consuming(bus, handle, partition, batch=2), consuming(bus, handle, partition, batch=2):
        until(lambda: seen == 40)
    assert most == 1


@pytest.mark.parametrize("standby", [False, True])
def test_consumers_that_come_and_go_keep_the_order(bus: Bus, both_buses: BusSite, standby: bool) -> None:
    """Each stops with messages in its hands that it has not begun; the next one goes on with those.

    What was done and not yet acknowledged may come again.
    """
    bus.publish(numbered(300))
    recorder, other = Recorder(), both_buses.connect(SUBSCRIPTIONS)
    while len(set(recorder.bodies)) < 300:
        seen = len(recorder.bodies)
        with consuming(bus, recorder, batch=12), ExitStack() as behind:
            until(lambda seen=seen: len(recorder.bodies) > seen)  # type: ignore[misc]
            if standby:
                behind.enter_context(consuming(other, recorder, batch=12))
    assert list(dict.fromkeys(recorder.bodies)) == [b"[%d]" % number for number in range(300)]


def test_a_queue_is_not_idle_while_a_consumer_holds_its_last_messages(bus: Bus) -> None:
    holding, let_go = threading.Event(), threading.Event()

    def handle(_messages: list[Message]) -> None:
        holding.set()
        let_go.wait(20)

    assert bus.is_idle(ONE)
    bus.publish(numbered(3))
    assert not bus.is_idle(ONE)
    with consuming(bus, handle):
        assert holding.wait(20)
        assert not bus.is_idle(ONE)
        let_go.set()
    until(lambda: bus.is_idle(ONE))


def _answers(bus: Bus) -> bool:
    try:
        bus.check()
    except BusUnavailable:
        return False
    return True
