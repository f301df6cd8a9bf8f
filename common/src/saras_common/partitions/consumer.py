"""One member of those who share a queue's partitions."""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Self

from saras_common.bus.protocol import Bus, Handle
from saras_common.consumer import Consumer
from saras_common.db import Database, connect, translated
from saras_common.errors import Unavailable
from saras_common.partitions.seats import Partition, Seats
from saras_common.partitions.sorting import FindOwners, Sorter

_log = logging.getLogger(__name__)

Feed = Callable[[str, int], Consumer]
"""A consumer of the queue, or of the partition with that name, taking as many messages a delivery."""

SHARE_EVERY_S = 0.5
"""How soon members see that there is one more or less of them."""

PAUSE_S = 1.0
_NOTICE_THE_DEAD = "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
"""A machine that vanished loses its partitions after so many seconds; a process that ended, at once."""


class PartitionedConsumer:
    """Feeds a queue to one handler, by ``count`` partitions; by none when it is 1 and never was more.

    The number may change between starts. Members with another number wait until the last of the old ones has ended,
    then work off what lies in the old partitions, and only then sort into the new ones. A queue that was partitioned
    once is sorted into a single partition by members with ``count`` 1, until one starts and finds nothing waiting.
    From and to 1, end all members before the first new one starts: a plain consumer takes part in no agreement.
    """

    def __init__(
        self,
        bus: Bus,
        queue: str,
        database: Database,
        feed: Feed,
        *,
        count: int,
        batch: int = 64,
        find_owners: FindOwners | None = None,
    ) -> None:
        self._bus = bus
        self._queue = queue
        self._database = database
        self._feed = feed
        self._count = count
        self._batch = batch
        self._sorter = Sorter(bus, queue, database, count, find_owners)
        self._whole = feed(queue, batch)
        self._parts: dict[Partition, Consumer] = {}
        self.inbox = self._whole.inbox

    def run(self, stop: threading.Event) -> None:
        """Consume until ``stop``."""
        while not stop.is_set():
            try:
                if self._count == 1 and self._is_plain():
                    self._whole.run(stop)
                else:
                    self._share(stop)
            except Unavailable as error:
                _log.warning("partitions of %s wait: %s", self._queue, error)
                stop.wait(PAUSE_S)

    def _is_plain(self) -> bool:
        """Whether nothing lies, or goes on, in partitions of before."""
        with self._session() as seats:
            before = seats.list_layout()
            if not before:
                return True
            waits = (*(partition.queue_of(self._queue) for partition in before), self._queue)
            for of in {partition.of for partition in before}:
                self._bus.partition(self._queue, of)
            if not seats.is_alone() or not all(map(self._bus.is_idle, waits)):
                return False
            for partition in before:
                seats.clear(partition, lambda: True)
            return True

    def _share(self, stop: threading.Event) -> None:
        with self._session() as seats, _Crew() as crew:
            while not seats.join(self._count):
                _log.info("consumers of %s with another number of partitions still run", self._queue)
                if stop.wait(SHARE_EVERY_S):
                    return
            while not stop.is_set():
                old = {partition for partition in seats.list_layout() if partition.of != self._count}
                if old:
                    self._drain(seats, crew, old)
                else:
                    self._begin(seats, crew)
                crew.check()
                stop.wait(SHARE_EVERY_S)

    def _begin(self, seats: Seats, crew: "_Crew") -> None:
        """Sort, and feed on our share."""
        wanted = [Partition(self._count, number) for number in range(self._count)]
        if not crew.is_sorting:
            seats.lay_out(wanted)
            self._bus.partition(self._queue, self._count)
            crew.sort(self._bus, self._queue, self._sorter.deliver, self._batch)
        self._feed_on(seats, crew, seats.share_of(wanted))

    def _drain(self, seats: Seats, crew: "_Crew", old: set[Partition]) -> None:
        """Work off our share of partitions that get nothing any more, and strike out those that are done."""
        for of in {partition.of for partition in old}:
            self._bus.partition(self._queue, of)
        share = seats.share_of(old)
        self._feed_on(
            seats, crew, {partition for partition in share if self._bus.depth(partition.queue_of(self._queue))}
        )
        for partition in share - crew.held:
            seats.clear(partition, partial(self._bus.is_idle, partition.queue_of(self._queue)))

    def _feed_on(self, seats: Seats, crew: "_Crew", wanted: set[Partition]) -> None:
        for partition in crew.held - wanted:
            crew.end(partition)
            seats.give_back(partition)
        for partition in sorted(wanted - crew.held):
            if seats.try_take(partition):
                crew.start(partition, self._part(partition))

    def _part(self, partition: Partition) -> Consumer:
        """Its consumer. Packets are small, for each is of a part of the users: more of them make a delivery."""
        if partition not in self._parts:
            self._parts[partition] = self._feed(partition.queue_of(self._queue), self._batch * partition.of)
        return self._parts[partition]

    @contextlib.contextmanager
    def _session(self) -> Iterator[Seats]:
        with (
            translated(),
            connect(
                self._database.url,
                application_name=f"{self._database.schema} partitions",
                options=_NOTICE_THE_DEAD,
            ) as connection,
        ):
            yield Seats(connection, self._database.schema, self._queue)


class _Crew:
    """The threads of one member: the sorter, and a consumer for each partition it holds."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._threads: dict[Partition | None, tuple[threading.Thread, threading.Event]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for _thread, stop in self._threads.values():
            stop.set()
        for thread, _stop in self._threads.values():
            thread.join()

    @property
    def is_sorting(self) -> bool:
        return None in self._threads

    @property
    def held(self) -> set[Partition]:
        return {partition for partition in self._threads if partition is not None}

    def sort(self, bus: Bus, queue: str, handle: Handle, batch: int) -> None:
        """Feed the sorter: of all members' sorters one at a time."""
        self._run(None, queue, lambda stop: bus.consume(queue, handle, stop, batch=batch))

    def start(self, partition: Partition, consumer: Consumer) -> None:
        self._run(partition, f"partition {partition.number}", consumer.run)

    def end(self, partition: Partition) -> None:
        """Returns when the delivery in hand is done."""
        thread, stop = self._threads.pop(partition)
        stop.set()
        thread.join()

    def check(self) -> None:
        """Whoever supervises the process cannot see a thread."""
        if not all(thread.is_alive() for thread, _ in self._threads.values()):
            raise RuntimeError("a consumer of a partition ended by itself")

    def _run(self, key: Partition | None, name: str, run: Callable[[threading.Event], None]) -> None:
        stop = threading.Event()
        thread = threading.Thread(target=run, args=(stop,), name=name, daemon=True)
        self._threads[key] = (thread, stop)
        thread.start()
