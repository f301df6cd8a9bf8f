"""Wrong turns between two services: outbox, relay, inbox, consumer."""

from typing import Any

from prove.bugs.catalogue import Shelf, Swap

from saras_common.consumer import Consumer
from saras_common.db import driver
from saras_common.errors import Unavailable
from saras_common.events import Message
from saras_common.inbox import Inbox
from saras_common.outbox import Outbox, Relay

bug = Shelf("messages")


def _carrying(choose: str, *, marks_first: bool = False) -> list[Swap]:
    """A relay that takes the rows ``choose`` says; ``{last}`` is the last row it published."""

    def wrong(relay: Any) -> int:
        last = getattr(relay, "last", 0)
        with relay._database.for_service() as session:  # noqa: SLF001 - stands where the method stands
            query = f"SELECT seq, id, type, body, count FROM {relay._schema}.outbox {choose.format(last=last)} LIMIT 4"  # noqa: SLF001 - as above
            rows = driver(session).execute(query.encode(), binary=True).fetchall()
            messages = [Message(*row[1:]) for row in rows]
            if not marks_first:
                relay._bus.publish(messages)  # noqa: SLF001 - as above
            driver(session).execute(relay._mark, [[row[0] for row in rows]])  # noqa: SLF001 - as above
        if marks_first:
            relay._bus.publish(messages)  # noqa: SLF001 - as above
        relay.last = max((row[0] for row in rows), default=last)
        return len(rows)

    return [(Relay, "drain_once", wrong)]


@bug("the relay remembers the last number it published")
def _cursor() -> list[Swap]:
    return _carrying("WHERE seq > {last} ORDER BY seq")


@bug("the newest events are published first")
def _newest_first() -> list[Swap]:
    return _carrying("WHERE published_at IS NULL ORDER BY seq DESC")


@bug("marked as published before the bus has them")
def _marked_first() -> list[Swap]:
    return _carrying("WHERE published_at IS NULL ORDER BY seq", marks_first=True)


@bug("acknowledged before the commit")
def _acknowledged_first() -> list[Swap]:
    deliver = Consumer.deliver

    def wrong(self: Any, messages: Any) -> None:
        try:
            deliver(self, messages)
        except Unavailable:
            return

    return [(Consumer, "deliver", wrong)]


@bug("the inbox commits apart from the effect")
def _inbox_apart() -> list[Swap]:
    def wrong(self: Any, events: Any) -> int:
        with self._database.for_service() as session:
            fresh = self.inbox.fresh(session, events)
        with self._database.for_service() as session:
            if fresh:
                self._handle(session, fresh)
        return len(fresh)

    return [(Consumer, "_apply", wrong)]


@bug("no inbox")
def _no_inbox() -> list[Swap]:
    return [(Inbox, "fresh", lambda _self, _session, events: list(events))]


@bug("a poison event takes its neighbours along")
def _poison() -> list[Swap]:
    def wrong(self: Any, messages: Any) -> None:
        from saras_common.events import unpack

        events = [event for message in messages for event in unpack(message)]
        if self._try(events) is not None:
            with self._database.for_service() as session:
                for event in events:
                    self.inbox.park(session, event, "poison", 1)

    return [(Consumer, "deliver", wrong)]


@bug("told in a transaction of its own")
def _told_apart() -> list[Swap]:
    add = Outbox.add

    def wrong(self: Any, _session: Any, events: Any) -> None:
        from prove.courier import site

        with site().database.for_service() as session:
            add(self, session, events)

    return [(Outbox, "add", wrong)]
