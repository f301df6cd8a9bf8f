"""From a queue to a handler: one transaction per delivery, each event applied once, poison set aside.

What a handler raises decides: `Unavailable` (a database or a peer is down) holds the queue until it is over;
anything else is tried again, first message by message, then event by event, and an event that keeps failing is parked
with its reason while its neighbours go on.

Consumers of one process share one interpreter. Those that can be late let the others go first in a burst, and take
a stream in few large deliveries, for a delivery costs more than the events in it.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

from sqlalchemy.orm import Session

from saras_common.bus.protocol import Bus
from saras_common.db import Database, retrying
from saras_common.errors import Unavailable
from saras_common.events import Event, Message, unpack
from saras_common.inbox import Inbox
from saras_common.metrics import Metrics, unless_down
from saras_common.tracing import NO_TRACES, Traces, orders_of

_log = logging.getLogger(__name__)

Handler = Callable[[Session, list[Event]], None]
"""Applies events of mixed kinds, in order, in the session's transaction."""

ATTEMPTS = 3
PAUSE_S = 0.05

BURST_BYTES = 30_000
"""A delivery of so much is a burst: one or two hundred orders."""

BURST_LASTS_S = 0.5
"""Without another large delivery for so long, a burst is over."""

LOOK_S = 0.02
"""How soon who waits sees that a burst is over."""


class Burst:
    """Whether what must be quick is working through a large heap."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._working = 0
        self._ended_at = float("-inf")

    @contextmanager
    def carrying(self) -> Iterator[None]:
        """While a large delivery is applied."""
        with self._lock:
            self._working += 1
        try:
            yield
        finally:
            with self._lock:
                self._working -= 1
                self._ended_at = time.monotonic()

    def wait(self, stop: threading.Event, most_s: float) -> None:
        """Return when it is over, after ``most_s``, or when told to stop."""
        until = time.monotonic() + most_s
        while (self._working or time.monotonic() < self._ended_at + BURST_LASTS_S) and time.monotonic() < until:
            if stop.wait(LOOK_S):
                return


process_burst = Burst()
"""Of this process: its threads share one interpreter."""


class Consumer:
    """Feeds one queue to one handler."""

    def __init__(
        self,
        bus: Bus,
        queue: str,
        database: Database,
        handle: Handler,
        *,
        source: str = "",
        batch: int = 64,
        patience_s: float = 0.0,
        linger_s: float = 0.0,
        metrics: Metrics | None = None,
        traces: Traces = NO_TRACES,
        burst: Burst = process_burst,
    ) -> None:
        """``source`` is the queue read from, if not ``queue`` itself but a partition of it.

        Patience is how long a delivery may wait for a burst of those who have none.

        Lingering is how far apart deliveries begin at least, so that what comes meanwhile travels in one.
        """
        self.applied = 0
        """Events applied since start."""
        self.repeated = 0
        """Events that had been applied before."""
        self.parked = 0
        """Events given up on since start."""
        self.inbox = Inbox(database.schema, queue)
        self._bus = bus
        self._queue = source or queue
        self._database = database
        self._handle = handle
        self._batch = batch
        self._patience_s = patience_s
        self._linger_s = linger_s
        self._burst = burst
        self._stop = threading.Event()
        self._begun_at = float("-inf")
        self._traces = traces
        metrics = metrics or Metrics()
        self._events = metrics.counter(
            "saras_consumer_events_total", "Events taken from a queue, by what became of them", ("queue", "outcome")
        )
        for outcome in ("applied", "repeated", "parked"):
            self._count(outcome, 0)  # a series that begins above zero hides its first increase
        self._seconds = metrics.histogram(
            "saras_consumer_delivery_seconds", "Time to apply a delivery", ("queue",)
        ).labels(self._queue)
        metrics.gauge("saras_queue_messages", "Messages that wait in a queue", ("queue",)).labels(
            self._queue
        ).set_function(unless_down(lambda: bus.depth(self._queue)))

    def run(self, stop: threading.Event) -> None:
        """Consume until ``stop``."""
        self._stop = stop
        self._bus.consume(self._queue, self.deliver, stop, batch=self._batch)

    def deliver(self, messages: Sequence[Message]) -> None:
        """Apply a delivery; returns when every event is applied, known or parked.

        Raises what the bus should count against a message: a body that is not what its kind says.
        """
        if self._patience_s:
            self._let_others_go()
        elif sum(len(message.body) for message in messages) >= BURST_BYTES:
            with self._burst.carrying(), self._seconds.time():
                self._deliver(messages)
            return
        with self._seconds.time():
            self._deliver(messages)

    def _let_others_go(self) -> None:
        """Wait with what was taken; what comes meanwhile is taken next, all together."""
        self._stop.wait(max(0.0, self._begun_at + self._linger_s - time.monotonic()))
        self._burst.wait(self._stop, self._patience_s)
        self._begun_at = time.monotonic()

    def _deliver(self, messages: Sequence[Message]) -> None:
        groups = [list(unpack(message)) for message in messages]
        for_all = [event for group in groups for event in group]
        if self._try(for_all) is None:
            return
        for group in groups:
            if len(groups) == 1 or self._try(group) is not None:
                for event in group:
                    self._apply_or_park(event)

    def replay(self, event_id: UUID) -> bool:
        """Apply a parked event now that its cause is mended; ``False`` when it is not parked. Raises as the handler."""
        with self._database.for_service() as session:
            event = self.inbox.take_parked(session, event_id)
            if event is not None:
                self._handle(session, [event])
        return event is not None

    def _apply_or_park(self, event: Event) -> None:
        reason: Exception | None = None
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(PAUSE_S * 2**attempt)
            reason = self._try([event])
            if reason is None:
                return
        text = f"{type(reason).__name__}: {reason}"
        with self._database.for_service() as session:
            self.inbox.park(session, event, text[:2000], ATTEMPTS)
        self.parked += 1
        self._count("parked", 1)
        _log.error("parked %s %s from %s", event.type, event.id, self._queue, exc_info=reason)

    def _try(self, events: list[Event]) -> Exception | None:
        """Apply ``events`` in one transaction; the error that undid it, if one did."""
        started_ns = time.time_ns()
        try:
            fresh = retrying(lambda: self._apply(events))
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a handler raises is the events' failure
            return error
        self.applied += fresh
        self.repeated += len(events) - fresh
        self._count("applied", fresh)
        self._count("repeated", len(events) - fresh)
        if self._traces.on:
            for event in events:
                self._traces.go_on(event.type, orders_of(event), started_ns, {"queue": self._queue})
        return None

    def _count(self, outcome: str, events: int) -> None:
        self._events.labels(self._queue, outcome).inc(events)

    def _apply(self, events: list[Event]) -> int:
        with self._database.for_service() as session:
            fresh = self.inbox.fresh(session, events)
            if fresh:
                self._handle(session, fresh)
            return len(fresh)
