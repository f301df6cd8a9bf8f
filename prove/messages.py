"""Campaign 6: events of sixteen writers through outbox, relay, bus and inbox, once on each bus; forged postbacks.

Writers commit out of turn or roll back. Two relays and two consumers take turns. A courier between bus and inbox hands
over each event one to five times, shuffled among the streams, and loses acknowledgements. Some events are poison, some
messages are nonsense. RabbitMQ is killed again and again, and blocked by its disk alarm. What each writer committed,
and nothing else, must take effect once and in its order.
"""

import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import psycopg
from prove.campaign import Campaign, Outcome, Run
from prove.postbacks import forged_postbacks
from prove.streams import QUEUE, SCHEMA, Courier, Flow, Writer

from saras_common.bus import Bus, BusUnavailable, PostgresBus, RabbitBus
from saras_common.errors import Unavailable
from saras_common.events import CancelRequested, FundsMoved, Message
from saras_common.ids import new_id
from saras_common.outbox import Relay
from saras_common.servers import PrivateRabbit
from saras_common.testing import PostgresForTests

SUBSCRIPTIONS = {QUEUE: frozenset({CancelRequested.type, FundsMoved.type})}
WRITERS = 16
POISON, NONSENSE = 20, 5
KILLS = 20
ALARM_S = 25.0
"""Longer than a publisher lets itself be blocked."""

ANSWER_S = 45.0
"""A publisher that the alarm blocks must say so by then."""

PACE_S = {"postgres": 20.0, "rabbit": 220.0}
DRAIN_S = 120.0
POSTBACKS = 1_000


@contextmanager
def flow_on(postgres: PostgresForTests, seed: int, rabbit: PrivateRabbit | None) -> Iterator[Flow]:
    """Writers' and consumer's database, and either bus."""
    made = postgres.database_for(SCHEMA)
    with psycopg.connect(made.admin_url, autocommit=True) as admin:
        admin.execute(
            f"CREATE TABLE {SCHEMA}.effects (seq bigint GENERATED ALWAYS AS IDENTITY, stream text, number integer);"
            f" GRANT ALL ON {SCHEMA}.effects TO {SCHEMA}"
        )
    database = made.connect(pool_size=WRITERS + 8)

    def connect() -> Bus:
        if rabbit is not None:
            return RabbitBus(rabbit.url, subscriptions=SUBSCRIPTIONS)
        return PostgresBus(made.bus_url, subscriptions=SUBSCRIPTIONS)

    flow = Flow(database, connect, seed)
    try:
        yield flow
    finally:
        flow.stop.set()
        database.dispose()


@contextmanager
def carried(flow: Flow) -> Iterator[None]:
    """Two relays and two consumers at work."""
    flow.couriers += [Courier(flow, number) for number in range(2)]
    buses = [flow.connect() for _ in range(2)]
    relays = [Relay(flow.database, bus, SCHEMA) for bus in buses]
    works: list[Callable[[], None]] = [partial(relay.run, flow.stop) for relay in relays]
    works += [partial(courier.bus.consume, QUEUE, courier.handle, flow.stop) for courier in flow.couriers]
    threads = [threading.Thread(target=work, daemon=True) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        flow.stop.set()
        for thread in threads:
            thread.join(30)
        for bus in [*buses, *(courier.bus for courier in flow.couriers)]:
            bus.close()


def send_through(flow: Flow, events: int, pace_s: float, trouble: Callable[[Outcome], None] | None = None) -> Outcome:
    """``events`` through ``flow`` while ``trouble`` is made; what came of them."""
    outcome = Outcome()
    writers = [
        Writer(flow, name, events // WRITERS, pace_s, POISON // WRITERS + (name < POISON % WRITERS))
        for name in range(WRITERS)
    ]
    threads = [threading.Thread(target=writer.run, daemon=True) for writer in writers]
    started = time.monotonic()
    with carried(flow):
        for thread in threads:
            thread.start()
        _publish_nonsense(flow)
        if trouble is not None:
            trouble(outcome)
        for thread in threads:
            thread.join(pace_s + DRAIN_S)
        _drain(flow)
        outcome.figures["seconds from the first event to the last effect"] = round(time.monotonic() - started, 1)
        for courier in flow.couriers:
            courier.finish()
        judge(flow, outcome)
        judge_poison(flow, outcome)
    told = sum(writer.told for writer in writers)
    if told < events // WRITERS * WRITERS:
        outcome.missed.append(f"{told:,} events were committed, not {events:,}")
    outcome.counts["events committed"] = told
    outcome.counts["events rolled back"] = sum(writer.rolled_back for writer in writers)
    outcome.counts["events of slow commits"] = sum(writer.slow for writer in writers)
    outcome.counts["deliveries of events"] = sum(courier.deliveries for courier in flow.couriers)
    return outcome


def _publish_nonsense(flow: Flow) -> None:
    """Messages whose body is not what their kind says."""
    bus = flow.connect()
    bus.publish([Message(new_id(), CancelRequested.type, b'[{"id": 5}]', 1) for _ in range(NONSENSE)])
    bus.close()


def _drain(flow: Flow) -> None:
    """Until everything committed took effect, or time is up, which `judge` then says."""
    for courier in flow.couriers:
        courier.calm()
    wanted = sum(map(len, flow.committed.values())) - len(flow.poison)
    bus = flow.connect()
    until = time.monotonic() + DRAIN_S
    while time.monotonic() < until:
        try:
            if flow.count() >= wanted and len(bus.parked(QUEUE)) >= NONSENSE and bus.depth(QUEUE) == 0:
                break
        except Unavailable:
            pass
        time.sleep(0.2)
    bus.close()


def judge(flow: Flow, outcome: Outcome) -> None:
    """Effects against what was committed: nothing skipped, nothing twice, nothing rolled back, every order kept."""
    happened: dict[str, list[int]] = defaultdict(list)
    for stream, number in flow.effects():
        happened[stream].append(number)
    for stream in flow.committed.keys() | happened.keys():
        wanted = [number for number in flow.committed[stream] if (stream, number) not in flow.poison]
        got = happened[stream]
        lost, more = Counter(wanted) - Counter(got), Counter(got) - Counter(wanted)
        outcome.violate(*(f"event {number} of {stream} was skipped" for number in lost))
        outcome.violate(*(f"event {number} of {stream} took effect {got.count(number)} times" for number in more))
        if not lost and not more and got != wanted:
            outcome.violate(f"events of {stream} took effect in another order")
        outcome.counts["orders followed"] += 1


def judge_poison(flow: Flow, outcome: Outcome) -> None:
    """Each is set aside with its reason, alone; once mended it is applied from there."""
    consumer = flow.couriers[0].consumer
    with flow.database.for_service() as session:
        parked = {each.event.id: each.reason for each in consumer.inbox.list_parked(session, 1000)}
    if parked.keys() != set(flow.poison.values()) or any("poison" not in reason for reason in parked.values()):
        outcome.violate(f"{len(parked)} events were set aside, {len(flow.poison)} were poison")
    flow.mended = True
    before = flow.count()
    replayed = sum(consumer.replay(event_id) for event_id in flow.poison.values())
    if not replayed == len(flow.poison) == flow.count() - before:
        outcome.violate(f"{replayed} of {len(flow.poison)} poison events could be replayed")
    bus = flow.connect()
    nonsense = bus.parked(QUEUE)
    bus.close()
    if len(nonsense) < NONSENSE or not all(each.reason for each in nonsense):
        outcome.violate(f"{len(nonsense)} of {NONSENSE} messages that mean nothing were set aside")
    outcome.counts["poison events set aside and replayed"] = replayed
    outcome.counts["messages without meaning set aside"] = len(nonsense)


def trouble_for(rabbit: PrivateRabbit, kills: int, over_s: float, dice: random.Random) -> Callable[[Outcome], None]:
    """RabbitMQ killed ``kills`` times, and once blocked by its disk alarm for longer than publishers bear."""

    def trouble(outcome: Outcome) -> None:
        started = time.monotonic()
        for number in range(kills):
            if number == kills // 2:
                _raise_disk_alarm(rabbit, outcome)
            due = started + over_s * number / kills
            time.sleep(max(2.0, due - time.monotonic()))
            rabbit.kill()
            time.sleep(dice.uniform(0, 1))
            rabbit.start()
            outcome.counts["RabbitMQ killed"] += 1

    return trouble


def _raise_disk_alarm(rabbit: PrivateRabbit, outcome: Outcome) -> None:
    """Publishers are blocked; one that asks meanwhile must be answered, not hung."""
    rabbit.control("set_disk_free_limit", str(10**15))
    bus = RabbitBus(rabbit.url, subscriptions=SUBSCRIPTIONS)
    started = time.monotonic()
    try:
        bus.publish([Message(new_id(), CancelRequested.type, b"[]", 0)])
        outcome.violate("RabbitMQ took a message without disk to keep it")
    except BusUnavailable:
        waited = time.monotonic() - started
        outcome.figures["a blocked publisher is told so after s"] = round(waited, 1)
        if waited > ANSWER_S:
            outcome.violate(f"a publisher hung for {waited:.0f} s under the disk alarm")
    finally:
        bus.close()
    time.sleep(max(0.0, ALARM_S - (time.monotonic() - started)))
    rabbit.control("set_disk_free_limit", "200000000")
    outcome.counts["disk alarms"] += 1


def on_bus(name: str, events: int, seed: int, *, kills: int, pace_s: float) -> Outcome:
    """The whole way on one bus, with servers of its own."""
    postgres = PostgresForTests()
    rabbit = PrivateRabbit() if name == "rabbit" else None
    try:
        if rabbit is not None:
            rabbit.start()
        with flow_on(postgres, seed, rabbit) as flow:
            trouble = trouble_for(rabbit, kills, pace_s, random.Random(seed)) if rabbit else None
            outcome = send_through(flow, events, pace_s, trouble)
    finally:
        if rabbit is not None:
            rabbit.stop()
        postgres.stop()
    named = Outcome(violations=outcome.violations, examples=[f"{name}: {what}" for what in outcome.examples])
    named.counts.update({f"{name}: {what}": count for what, count in outcome.counts.items()})
    named.figures |= {f"{name}: {what}": value for what, value in outcome.figures.items()}
    return named


def play(run: Run) -> Outcome:
    """Both buses, then the door for postbacks."""
    outcome = Outcome()
    share = min(1.0, run.size / CAMPAIGN.size)
    missing = PrivateRabbit.missing()
    for name, pace_s in PACE_S.items():
        if name == "rabbit" and missing:
            outcome.missed.append(missing)
            continue
        outcome.add(on_bus(name, run.size, run.seed, kills=max(1, int(KILLS * share)), pace_s=pace_s * share))
    outcome.add(forged_postbacks(max(20, int(POSTBACKS * share)), run.seed))
    outcome.counts["RabbitMQ killed"] = outcome.counts["rabbit: RabbitMQ killed"]
    outcome.counts["events"] = sum(count for name, count in outcome.counts.items() if name.endswith("events committed"))
    return outcome


CAMPAIGN = Campaign(
    number=6,
    target="100,000 events of 16 writers on each bus, delivered 1 to 5 times and shuffled, RabbitMQ killed 20 times and"
    " blocked by its disk alarm, 1,000 forged, altered or replayed postbacks: none skipped, none twice, none out of"
    " its order's turn, nothing changed by a postback; poison takes no neighbour along",
    size=100_000,
    bound_s=600,
    play=play,
)
