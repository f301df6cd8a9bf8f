"""Seeded schedules of the way events take: outbox, relay, a bus in memory, inbox and handler, on a real database.

Writers commit out of turn or roll back, the bus takes and fails, delivers twice and late, the consumer's database goes
away, one event is poison. What must hold: what was committed takes effect once, in its writer's order; nothing else.
"""

import random
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from multiprocessing.util import Finalize
from unittest.mock import patch
from uuid import UUID

import psycopg
from sqlalchemy import text
from sqlalchemy.orm import Session

from saras_common import consumer as consuming
from saras_common.bus import BusUnavailable
from saras_common.bus.protocol import Handle, ParkedMessage
from saras_common.consumer import Consumer
from saras_common.db import Database
from saras_common.errors import Unavailable
from saras_common.events import Event, Message, OrderProgressed
from saras_common.outbox import Outbox, Relay
from saras_common.testing import PostgresForTests

SCHEMA = "portfolio_service"
WRITERS = 3
STEPS = 25
NOW = datetime(2026, 3, 2, 5, tzinfo=UTC)


class Site:
    """A server with a database whose only use is its outbox, its inbox and a table of effects."""

    def __init__(self) -> None:
        self._server = PostgresForTests()
        made = self._server.database_for(SCHEMA)
        with psycopg.connect(made.admin_url, autocommit=True) as admin:
            admin.execute(
                f"CREATE TABLE {SCHEMA}.effects (seq bigint GENERATED ALWAYS AS IDENTITY, writer uuid, number integer)"
            )
            admin.execute(f"GRANT ALL ON {SCHEMA}.effects TO {SCHEMA}")
        self.database = made.connect()

    def stop(self) -> None:
        self.database.dispose()
        self._server.stop()


@cache
def site() -> Site:
    """One a process, ended with it."""
    made = Site()
    Finalize(None, made.stop, exitpriority=10)  # where processes of a pool end, atexit is not asked
    return made


class UnreliableBus:
    """Keeps messages in a list; takes and fails as the dice say."""

    def __init__(self, dice: random.Random) -> None:
        self.waiting: list[Message] = []
        self._dice = dice
        self.is_calm = False

    def publish(self, messages: Sequence[Message]) -> None:
        if not self.is_calm and self._dice.random() < 0.15:
            raise BusUnavailable
        self.waiting += messages
        if not self.is_calm and self._dice.random() < 0.15:
            raise BusUnavailable

    def partition(self, queue: str, count: int) -> list[str]:
        raise NotImplementedError

    def publish_to(self, messages: Sequence[tuple[str, Message]]) -> None:
        raise NotImplementedError

    def consume(self, queue: str, handle: Handle, stop: threading.Event, *, batch: int = 64) -> None:
        raise NotImplementedError

    def depth(self, queue: str) -> int:
        raise NotImplementedError

    def is_idle(self, queue: str) -> bool:
        raise NotImplementedError

    def parked(self, queue: str) -> list[ParkedMessage]:
        raise NotImplementedError

    def replay(self, queue: str, message_id: UUID) -> None:
        raise NotImplementedError

    def check(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


@dataclass
class Writing:
    """A transaction that has told something and not ended."""

    transaction: ExitStack
    session: Session
    numbers: list[int] = field(default_factory=list)


class Courier:
    """Plays one seed."""

    def __init__(self, seed: int, database: Database) -> None:
        self._dice = random.Random(seed)
        self._database = database
        self._outbox = Outbox(SCHEMA)
        self._bus = UnreliableBus(self._dice)
        self._relay = Relay(database, self._bus, SCHEMA, batch=4)
        self._consumer = Consumer(self._bus, f"courier {seed}", database, self._apply)
        self._writers = [UUID(int=self._dice.getrandbits(128)) for _ in range(WRITERS)]
        self._written = dict.fromkeys(self._writers, 0)
        self._open: dict[UUID, Writing] = {}
        self._expected: dict[UUID, list[int]] = {writer: [] for writer in self._writers}
        self._poison: set[tuple[UUID, int]] = set()
        self._seen: list[Message] = []

    def play(self) -> list[str]:
        """What does not hold once everything was delivered."""
        with ExitStack() as stack:
            stack.callback(self._roll_back_all)
            self._clear()
            for _ in range(STEPS):
                self._dice.choice((self._write, self._write, self._end_writing, self._carry, self._deliver))()
            self._calm()
            return self._check()

    def _clear(self) -> None:
        with self._database.for_service() as session:
            session.execute(text("DELETE FROM effects"))
            session.execute(text("DELETE FROM outbox"))

    # --- what happens

    def _write(self) -> None:
        writer = self._dice.choice(self._writers)
        if writer not in self._open:
            transaction = ExitStack()
            self._open[writer] = Writing(transaction, transaction.enter_context(self._database.for_service()))
        writing = self._open[writer]
        fresh = [self._written[writer] + step for step in range(1, self._dice.randint(1, 3) + 1)]
        self._written[writer] = fresh[-1]
        writing.numbers += fresh
        if self._dice.random() < 0.1:
            self._poison.add((writer, fresh[0]))
        self._outbox.add(writing.session, [self._event(writer, number) for number in fresh])

    def _event(self, writer: UUID, number: int) -> Event:
        event_id = UUID(int=self._dice.getrandbits(128), version=4)
        return OrderProgressed(id=event_id, at=NOW, order_ids=[writer], status="WORKING", reason=str(number))

    def _end_writing(self) -> None:
        if not self._open:
            return
        writer = self._dice.choice(sorted(self._open))
        writing = self._open.pop(writer)
        if self._dice.random() < 0.25:
            writing.session.rollback()
            writing.transaction.close()
            return
        writing.transaction.close()
        self._expected[writer] += [number for number in writing.numbers if (writer, number) not in self._poison]

    def _carry(self) -> None:
        try:
            self._relay.drain_once()
        except Unavailable:
            return

    def _deliver(self) -> None:
        """Some of what waits, from the front; sometimes what was delivered before."""
        count = self._dice.randint(1, 4)
        batch = self._bus.waiting[:count]
        if self._seen and self._dice.random() < 0.2:
            batch = [self._dice.choice(self._seen), *batch]
        if not batch:
            return
        try:
            self._consumer.deliver(batch)
        except Unavailable:
            return
        if not self._bus.is_calm and self._dice.random() < 0.1:
            return  # it was handled, and the acknowledgement is lost
        self._seen += batch
        del self._bus.waiting[:count]

    def _apply(self, session: Session, events: list[Event]) -> None:
        self._trouble()
        for event in events:
            assert isinstance(event, OrderProgressed)
            writer, number = event.order_ids[0], int(event.reason or "")
            if (writer, number) in self._poison:
                raise ValueError("poison")
            session.execute(
                text("INSERT INTO effects (writer, number) VALUES (:writer, :number)"),
                {"writer": writer, "number": number},
            )
        self._trouble()

    def _trouble(self) -> None:
        if not self._bus.is_calm and self._dice.random() < 0.1:
            raise Unavailable("the database went away")

    # --- the end

    def _calm(self) -> None:
        self._bus.is_calm = True
        while self._open:
            self._end_writing()
        while self._relay.drain_once():
            pass
        while self._bus.waiting:
            self._deliver()

    def _roll_back_all(self) -> None:
        for writing in self._open.values():
            writing.session.rollback()
            writing.transaction.close()

    def _check(self) -> list[str]:
        effects: dict[UUID, list[int]] = {writer: [] for writer in self._writers}
        with self._database.for_service() as session:
            for writer, number in session.execute(text("SELECT writer, number FROM effects ORDER BY seq")):
                effects[writer].append(number)
        return [
            f"a writer committed {self._expected[writer]} and {effects[writer]} took effect"
            for writer in self._writers
            if effects[writer] != self._expected[writer]
        ]


def finds(seed: int) -> str | None:
    """What one schedule shows to be wrong."""
    try:
        with patch.object(consuming, "PAUSE_S", 0.0):
            wrong = Courier(seed, site().database).play()
    except Exception as error:  # noqa: BLE001 - whatever our code raises here, it has shown itself
        return f"{type(error).__name__}: {error}"
    return wrong[0] if wrong else None
