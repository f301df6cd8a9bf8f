"""Which partitions of a queue a process feeds on, agreed by locks in the service's database.

Members are sessions that hold a shared lock, partitions are locks of one session. Whoever dies loses its session and
with it both. Partitions that may hold something are written down as rows of the inbox, so that members with another
number of partitions know what must be worked off first.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple
from uuid import UUID
from zlib import crc32

import psycopg
from sqlalchemy.orm import Session

from saras_common.bus.protocol import MAX_PARTITIONS, partition_queue
from saras_common.db import driver

_GATE = 0
_SORTING = 100
_PARTITION = 1000
"""Keys of locks beside the queue's: 0 the gate, 1 to 16 members by their number of partitions, 100 on their sorters,
1000 on the partitions."""

_MEMBERS = """
SELECT pid, objid::bigint FROM pg_locks
WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND classid = %s::bigint::oid AND objsubid = 2 AND objid::bigint BETWEEN 1 AND %s AND granted
ORDER BY pid
"""


class Partition(NamedTuple):
    """The ``number``-th ``of`` so many partitions of a queue."""

    of: int
    number: int

    def queue_of(self, queue: str) -> str:
        """Its queue."""
        return partition_queue(queue, *self)

    @property
    def key(self) -> int:
        """What its lock and its row are kept under."""
        return _PARTITION * self.of + self.number


def hold_layout(session: Session, queue: str, count: int) -> bool:
    """For a sorter, until its transaction ends: whether anybody still looks into its partitions.

    One that everybody thinks dead may wake up after its partitions were struck out.
    """
    connection, keys = driver(session), [UUID(int=Partition(count, number).key) for number in range(count)]
    connection.execute("SELECT pg_advisory_xact_lock_shared(%s::int, %s::int)", [_class_of(queue), _SORTING + count])
    found = connection.execute(
        "SELECT count(*) FROM inbox WHERE consumer = %s AND event_id = ANY(%s)", [_layout_of(queue), keys]
    )
    return found.fetchone() == (count,)


def _class_of(queue: str) -> int:
    return crc32(f"partitions of {queue}".encode()) & 0x7FFFFFFF


def _layout_of(queue: str) -> str:
    return f"{queue}.layout"


class Seats:
    """One session's view. Errors are psycopg's: a session that is lost has lost everything."""

    def __init__(self, connection: psycopg.Connection, schema: str, queue: str) -> None:
        self._connection = connection
        self._class = _class_of(queue)
        self._name = _layout_of(queue)
        self._list = f"SELECT event_id FROM {schema}.inbox WHERE consumer = %s"  # noqa: S608 - our schema's name
        self._add = f"INSERT INTO {schema}.inbox VALUES (%s, %s) ON CONFLICT DO NOTHING"  # noqa: S608 - as above
        self._delete = f"DELETE FROM {schema}.inbox WHERE consumer = %s AND event_id = %s"  # noqa: S608 - as above

    def join(self, count: int) -> bool:
        """Become a member of those with ``count`` partitions; not while others live that have another number."""
        self._lock("pg_advisory_lock", _GATE)
        try:
            if any(other != count for _, other in self._members()):
                return False
            return self._lock("pg_try_advisory_lock_shared", count)
        finally:
            self._lock("pg_advisory_unlock", _GATE)

    def share_of(self, partitions: Iterable[Partition]) -> set[Partition]:
        """Those of ``partitions`` that fall to this member: everybody gets as many, but for one."""
        pids = [pid for pid, _ in self._members()]
        mine = pids.index(self._connection.info.backend_pid)
        return {partition for place, partition in enumerate(sorted(partitions)) if place % len(pids) == mine}

    def try_take(self, partition: Partition) -> bool:
        """Whether it is ours now; it may take its last member a moment to let go."""
        return self._lock("pg_try_advisory_lock", partition.key)

    def give_back(self, partition: Partition) -> None:
        """Let another member have it."""
        self._lock("pg_advisory_unlock", partition.key)

    def list_layout(self) -> set[Partition]:
        """Partitions that may hold something."""
        keys = [row[0].int for row in self._connection.execute(self._list, [self._name])]
        return {Partition(*divmod(key, _PARTITION)) for key in keys}

    def lay_out(self, partitions: Iterable[Partition]) -> None:
        """Write down that these may hold something from now on."""
        for partition in partitions:
            self._connection.execute(self._add, [self._name, UUID(int=partition.key)])

    def clear(self, partition: Partition, is_idle: Callable[[], bool]) -> None:
        """Strike it out if it is empty, while no sorter is at it."""
        self._lock("pg_advisory_lock", _SORTING + partition.of)
        try:
            if is_idle():
                self._connection.execute(self._delete, [self._name, UUID(int=partition.key)])
        finally:
            self._lock("pg_advisory_unlock", _SORTING + partition.of)

    def is_alone(self) -> bool:
        """Whether there is no member. The gate is ours from then on, until the session ends."""
        self._lock("pg_advisory_lock", _GATE)
        return not self._members()

    def _members(self) -> list[tuple[int, int]]:
        return self._connection.execute(_MEMBERS, [self._class, MAX_PARTITIONS]).fetchall()

    def _lock(self, function: str, key: int) -> bool:
        row = self._connection.execute(f"SELECT {function}(%s::int, %s::int)", [self._class, key]).fetchone()
        return row is not None and row[0] is not False
