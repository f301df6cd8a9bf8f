"""The feed of live streams: written with the events, read by the gateway."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from notification_service.domain.feed import entries_of
from notification_service.store import feed
from notification_service.store.feed import FeedBell, FeedEnds, FeedRow
from saras_common.db import Database
from saras_common.events import Event

_LOOK_S = 0.25
"""How soon a waiting reader sees that the service ends."""


@dataclass(frozen=True, slots=True)
class FeedPart:
    """Rows in order, and where the feed began and ended when they were read."""

    rows: list[FeedRow]
    ends: FeedEnds


def record_events(session: Session, events: Sequence[Event]) -> None:
    """Tell the streams of ``events``. Each comes here once; the consumer's inbox sees to that."""
    feed.add(session, entries_of(events))


def prune_feed(database: Database, before: datetime) -> int:
    """Forget what was told before that instant; how many rows."""
    pruned = 0
    while True:
        with database.for_service() as session:
            gone = feed.prune(session, before)
        pruned += gone
        if gone == 0:
            return pruned


class FeedReader:
    """What the gateways ask."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._bell = FeedBell(database.url)

    def head(self) -> FeedPart:
        """No rows, only the ends."""
        with self._database.for_service() as session:
            return FeedPart([], feed.ends(session))

    def after(self, after: int, *, limit: int, wait_s: float) -> FeedPart:
        """Everybody's rows after ``after``; when there are none, those that come within ``wait_s``."""
        part = self._read(after, limit)
        if part.rows or wait_s == 0:
            return part
        deadline = time.monotonic() + wait_s
        with self._bell.listening() as connection:
            while True:
                part = self._read(after, limit)
                left_s = deadline - time.monotonic()
                if part.rows or left_s <= 0 or self._bell.is_closed:
                    return part
                for _ in connection.notifies(timeout=min(left_s, _LOOK_S), stop_after=1):
                    pass

    def of_user(self, user_id: UUID, *, after: int, until: int, limit: int) -> FeedPart:
        """One user's rows after ``after`` up to ``until``, read with that user's rights."""
        with self._database.for_users(user_id) as session:
            rows = feed.list_of_user(session, user_id, after=after, until=until, limit=limit)
        with self._database.for_service() as session:
            return FeedPart(rows, feed.ends(session))

    def close(self) -> None:
        """Let waiting readers go."""
        self._bell.close()

    def _read(self, after: int, limit: int) -> FeedPart:
        with self._database.for_service() as session:
            rows = feed.list_after(session, after, limit)
            return FeedPart(rows, feed.ends(session))
