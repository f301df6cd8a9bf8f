"""Packets taken apart by user, so that several consumers can share a queue and each user's events keep their order.

Users lie in `BUCKETS` buckets, for ever: whatever the number of consumers, a bucket is what travels together. An event
about one user goes whole to its bucket. One about many (a posting of a block, orders that moved) is divided into an
event a bucket, whose id follows from the event's and the bucket, so that taking it apart again makes the same ids. An
event about no user goes by its broker account, else by its kind.

Nothing is validated here; whoever applies the parts does that. A body without what it is divided by is its message's
fault: `ValueError`.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import groupby
from typing import Any
from uuid import UUID
from zlib import crc32

import orjson

from saras_common.events.base import MAX_EVENTS_A_MESSAGE
from saras_common.events.execution import AllocationPosted, OrderProgressed
from saras_common.events.messages import Message
from saras_common.ids import new_id

BUCKETS = 64
"""Part of the ids of divided events: never changed. More make even loads and small parts; a partition has several."""

MAX_PART_BYTES = 1_000_000

DIVIDED = frozenset({AllocationPosted.type, OrderProgressed.type})
"""Kinds of events about many users."""

Row = dict[str, Any]
Owners = Mapping[str, str]
"""User id by order id, both as text."""

_SUSPENSE = ("suspense_quantity", "suspense_value_paise", "suspense_charges_paise")
_LOW_BITS = (1 << 62) - 1


def bucket_of(key: str) -> int:
    """The bucket of a user, account or kind."""
    return crc32(key.encode()) % BUCKETS


def part_id(event_id: UUID, bucket: int) -> UUID:
    """The id of an event's part: of the same time, and the same whenever it is asked."""
    digest = blake2b(event_id.bytes + bytes([bucket]), digest_size=8).digest()
    return UUID(int=event_id.int & ~_LOW_BITS | int.from_bytes(digest) & _LOW_BITS)


def rows_of(message: Message) -> list[Row]:
    """The events of a message as plain rows."""
    rows = orjson.loads(message.body)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("a message's body is a list of events")
    return rows


def orders_in(kind: str, rows: Iterable[Row]) -> set[str]:
    """Orders whose users must be known to divide ``rows``."""
    if kind != OrderProgressed.type:
        return set()
    return {order_id for row in rows for order_id in _needed(row, "order_ids")}


class Split:
    """Rows in the order they came, by partition: every bucket is in one of ``count``."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._partitions: defaultdict[int, list[tuple[str, Row]]] = defaultdict(list)

    def add(self, kind: str, row: Row, owners: Owners) -> None:
        """Put an event, or its parts, where it belongs. An order without an owner goes by its own id."""
        if kind == AllocationPosted.type:
            self._divide(kind, row, _allocations(row))
        elif kind == OrderProgressed.type:
            self._divide(kind, row, _orders(row, owners))
        else:
            self._put(bucket_of(str(row.get("user_id") or row.get("account_id") or kind)), kind, row)

    def messages(self) -> list[tuple[int, Message]]:
        """What to publish: the partition's number and a packet, in order within a partition."""
        found = []
        for number in sorted(self._partitions):
            for kind, run in groupby(self._partitions[number], key=lambda item: item[0]):
                found += [(number, message) for message in _packed(kind, [row for _, row in run])]
        return found

    def _divide(self, kind: str, row: Row, parts: Mapping[int, Row]) -> None:
        event_id = UUID(_needed(row, "id"))
        for bucket, changed in parts.items():
            self._put(bucket, kind, {**row, **changed, "id": str(part_id(event_id, bucket))})

    def _put(self, bucket: int, kind: str, row: Row) -> None:
        self._partitions[bucket % self._count].append((kind, row))


def _allocations(row: Row) -> dict[int, Row]:
    """The fields that differ, by bucket. What belongs to no order goes with the account's bucket."""
    shares: defaultdict[int, list[Any]] = defaultdict(list)
    for allocation in _needed(row, "allocations"):
        shares[bucket_of(_needed(allocation, "user_id"))].append(allocation)
    home = bucket_of(str(_needed(row, "account_id")))
    if not shares or any(row.get(name) for name in _SUSPENSE):
        shares[home] = shares.get(home, [])
    nothing = dict.fromkeys(_SUSPENSE, 0)
    return {
        bucket: {"allocations": share} if bucket == home else {"allocations": share, **nothing}
        for bucket, share in shares.items()
    }


def _orders(row: Row, owners: Owners) -> dict[int, Row]:
    named: defaultdict[int, list[str]] = defaultdict(list)
    for order_id in _needed(row, "order_ids"):
        named[bucket_of(owners.get(order_id, order_id))].append(order_id)
    return {bucket: {"order_ids": orders} for bucket, orders in named.items()}


def _needed(row: Row, name: str) -> Any:
    try:
        return row[name]
    except (KeyError, TypeError) as error:
        raise ValueError(f"an event without {name}") from error


def _packed(kind: str, rows: Sequence[Row]) -> Iterator[Message]:
    part: list[bytes] = []
    size = 0
    for body in map(orjson.dumps, rows):
        if part and (len(part) == MAX_EVENTS_A_MESSAGE or size + len(body) > MAX_PART_BYTES):
            yield _message(kind, part)
            part, size = [], 0
        part.append(body)
        size += len(body)
    yield _message(kind, part)


def _message(kind: str, bodies: Sequence[bytes]) -> Message:
    return Message(new_id(), kind, b"[" + b",".join(bodies) + b"]", len(bodies))
