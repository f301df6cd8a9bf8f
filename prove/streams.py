"""Writers who commit out of turn, and couriers who hand over what they told again and again."""

import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.orm import Session

from saras_common.bus import Bus
from saras_common.consumer import Consumer
from saras_common.db import Database, driver
from saras_common.errors import Unavailable
from saras_common.events import CancelRequested, Event, FundsMoved, Message, pack, unpack
from saras_common.outbox import Outbox

SCHEMA = "portfolio_service"
QUEUE = "trade-executor"
STREAMS = 12
"""Orders of each writer, told in turn."""

ROLLED_BACK, SLOW = 0.1, 0.1
SLOW_S = 0.4
MOST_DELIVERIES = 5
LOST_ACK = 0.02

Place = tuple[str, int]
"""Stream and number of an event."""


@dataclass
class Flow:
    """One way from writers to effects, and what was committed: the oracle."""

    database: Database
    connect: Callable[[], Bus]
    seed: int
    committed: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    poison: dict[Place, UUID] = field(default_factory=dict)
    mended: bool = False
    stop: threading.Event = field(default_factory=threading.Event)
    couriers: list["Courier"] = field(default_factory=list)

    def apply(self, session: Session, events: list[Event]) -> None:
        """The handler: one row an event."""
        places = [place_of(event) for event in events]
        if not self.mended and not self.poison.keys().isdisjoint(places):
            raise ValueError("poison")
        driver(session).execute(
            "INSERT INTO effects (stream, number) SELECT * FROM unnest(%s::text[], %s::int[])",
            [[stream for stream, _ in places], [number for _, number in places]],
        )

    def effects(self) -> list[Place]:
        """What took effect, in this order."""
        with self.database.for_service() as session:
            rows = driver(session).execute("SELECT stream, number FROM effects ORDER BY seq").fetchall()
        return [(stream, number) for stream, number in rows]

    def count(self) -> int:
        """How much took effect."""
        with self.database.for_service() as session:
            (row,) = driver(session).execute("SELECT count(*) FROM effects").fetchall()
        return int(row[0])


def place_of(event: Event) -> Place:
    """Written in its request id."""
    stream, _, number = (event.request_id or "").partition(":")
    return stream, int(number)


class _RolledBack(Exception):
    pass


class Writer:
    """Tells of its own orders, a transaction after the other."""

    def __init__(self, flow: Flow, name: int, share: int, pace_s: float, poison: int) -> None:
        self.told = self.rolled_back = self.slow = 0
        self._flow = flow
        self._dice = random.Random(f"{flow.seed} writer {name}")
        self._streams = [f"{name}-{number}" for number in range(STREAMS)]
        self._next = dict.fromkeys(self._streams, 0)
        self._share = share
        self._pace_s = pace_s
        self._poison = poison
        self._outbox = Outbox(SCHEMA)

    def run(self) -> None:
        """Until its share is committed."""
        started = time.monotonic()
        while self.told < self._share:
            events = self._make(min(self._dice.randint(1, 60), self._share - self.told))
            try:
                self._write(events)
            except _RolledBack:
                self.rolled_back += len(events)
                continue
            for stream, number in map(place_of, events):
                self._flow.committed[stream].append(number)
            self.told += len(events)
            due = started + self._pace_s * self.told / self._share
            time.sleep(max(0.0, due - time.monotonic()))

    def _write(self, events: list[Event]) -> None:
        poison = dict[Place, UUID]()
        if self._poison and self._dice.random() < 0.2:
            poison = {place_of(events[-1]): events[-1].id}
        self._flow.poison |= poison  # before it can arrive
        with self._flow.database.for_service() as session:
            half = self._dice.randint(0, len(events))
            self._outbox.add(session, events[:half])
            if self._dice.random() < SLOW:
                self.slow += len(events)
                time.sleep(self._dice.uniform(0, SLOW_S))
            self._outbox.add(session, events[half:])
            if self._dice.random() < ROLLED_BACK:
                for place in poison:
                    del self._flow.poison[place]
                raise _RolledBack
        self._poison -= len(poison)

    def _make(self, count: int) -> list[Event]:
        events: list[Event] = []
        for _ in range(count):
            stream = self._dice.choice(self._streams)
            self._next[stream] += 1
            at, place = datetime.now(UTC), f"{stream}:{self._next[stream]}"
            order = UUID(int=self._dice.getrandbits(128), version=4)
            events.append(
                CancelRequested(at=at, request_id=place, order_id=order, account_id="main")
                if self._dice.random() < 0.7
                else FundsMoved(
                    at=at, request_id=place, movement_id=order, user_id=order, account_id="main", amount_paise=1
                )
            )
        return events


class Courier:
    """Between a bus and a consumer: hands over what came in another packing, each event up to five times."""

    def __init__(self, flow: Flow, name: int) -> None:
        self.deliveries = 0
        self._dice = random.Random(f"{flow.seed} courier {name}")
        self._again: list[Event] = []
        self._calm = False
        self.bus = flow.connect()
        self.consumer = Consumer(self.bus, QUEUE, flow.database, flow.apply)

    def handle(self, messages: Sequence[Message]) -> None:
        """First deliveries keep the order within a stream; repetitions come whenever they come."""
        dice = self._dice
        events = [event for message in messages for event in unpack(message)]
        fresh = self._interleaved(events)
        dice.shuffle(self._again)
        due = [self._again.pop() for _ in range(min(len(self._again), 3 * len(events)))]
        packet: list[Event] = []
        for event in fresh:
            packet.append(event)
            packet += [due.pop() for _ in range(dice.randint(0, 2)) if due]
            if dice.random() < 2 / (len(fresh) + 1):
                self._deliver(packet)
                packet = []
        self._deliver(packet + due)
        for event in fresh:  # none of these may overtake its own stream
            self._again += [event] * dice.randint(0, MOST_DELIVERIES - 1)
        if not self._calm and dice.random() < LOST_ACK:
            raise Unavailable("the acknowledgement is lost")

    def calm(self) -> None:
        """Nothing is lost any more."""
        self._calm = True

    def finish(self) -> None:
        """Hand over every repetition that is left."""
        rest, self._again = self._again, []
        for start in range(0, len(rest), 2000):
            self._deliver(rest[start : start + 2000])

    def _interleaved(self, events: list[Event]) -> list[Event]:
        """Shuffled among the streams."""
        streams: dict[str, list[Event]] = defaultdict(list)
        for event in events:
            streams[place_of(event)[0]].append(event)
        turns = [stream for stream, of in streams.items() for _ in of]
        self._dice.shuffle(turns)
        queues = {stream: iter(of) for stream, of in streams.items()}
        return [next(queues[stream]) for stream in turns]

    def _deliver(self, events: list[Event]) -> None:
        self.consumer.deliver(list(pack(events)))
        self.deliveries += len(events)
