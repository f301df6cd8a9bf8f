"""From a queue into its partitions, in order."""

from collections.abc import Callable, Collection, Sequence
from uuid import UUID

from sqlalchemy.orm import Session

from saras_common.bus.protocol import Bus, partition_queue
from saras_common.db import Database, retrying
from saras_common.errors import Unavailable
from saras_common.events import Message
from saras_common.events.splitting import DIVIDED, Owners, Row, Split, orders_in, rows_of
from saras_common.inbox import Inbox
from saras_common.partitions.seats import hold_layout

FindOwners = Callable[[Session, Collection[str]], Owners]
"""User ids of these orders, as far as known: events that name orders alone go by their users too."""

Packets = Sequence[tuple[str, Sequence[Row]]]


class Sorter:
    """Publishes what a queue brings into the queue's partitions.

    A delivery that fails or is repeated is published again, and the partitions' inbox absorbs it: a part's id follows
    from the event's. The ids of divided events are remembered as a consumer of the whole queue does, so that neither
    applies what the other has applied.
    """

    def __init__(self, bus: Bus, queue: str, database: Database, count: int, find_owners: FindOwners | None) -> None:
        self._bus = bus
        self._queue = queue
        self._database = database
        self._count = count
        self._find_owners = find_owners
        self._inbox = Inbox(database.schema, queue)

    def deliver(self, messages: Sequence[Message]) -> None:
        """Sort a delivery; `ValueError` when a body cannot be taken apart."""
        packets = [(message.type, rows_of(message)) for message in messages]
        if any(kind in DIVIDED for kind, _ in packets):
            retrying(lambda: self._divide(packets))
        else:
            self._publish(packets, {})

    def _divide(self, packets: Packets) -> None:
        """Remembered with the commit, published before it: what is remembered has gone."""
        divided = [UUID(row["id"]) for kind, rows in packets if kind in DIVIDED for row in rows]
        orders = {order_id for kind, rows in packets for order_id in orders_in(kind, rows)}
        with self._database.for_service() as session:
            if not hold_layout(session, self._queue, self._count):
                raise Unavailable("Nobody looks into these partitions any more")
            fresh = self._inbox.fresh_ids(session, divided)
            owners = self._find_owners(session, orders) if orders and self._find_owners is not None else {}
            kept = [
                (kind, [row for row in rows if UUID(row["id"]) in fresh] if kind in DIVIDED else rows)
                for kind, rows in packets
            ]
            self._publish(kept, owners)

    def _publish(self, packets: Packets, owners: Owners) -> None:
        split = Split(self._count)
        for kind, rows in packets:
            for row in rows:
                split.add(kind, row, owners)
        self._bus.publish_to(
            [(partition_queue(self._queue, self._count, number), message) for number, message in split.messages()]
        )
