"""The clock's work: who beats, and what is old."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from notification_service.store import leases, notifications
from notification_service.usecases.context import Context
from notification_service.usecases.feed import prune_feed
from saras_common.inbox import Inbox

BEAT = "beat"
BEAT_TTL = timedelta(seconds=10)
INBOX_KEPT = timedelta(days=7)
"""Far longer than a bus redelivers."""
_PART = 2000


def hold_beat(context: Context, holder: UUID) -> bool:
    """Whether ``holder`` is the one that beats, for the next ten seconds."""
    with context.database.for_service() as session:
        return leases.hold(session, BEAT, holder, BEAT_TTL)


def prune(context: Context, inboxes: Sequence[Inbox]) -> None:
    """Forget old messages with their deliveries, what streams were told, and old event ids, some at a time."""
    now = context.clock.now()
    prune_feed(context.database, now - context.rules.keep_feed)
    while True:
        with context.database.for_service() as session:
            if notifications.prune(session, now - context.rules.keep, _PART) < _PART:
                break
    for inbox in inboxes:
        with context.database.for_service() as session:
            inbox.prune(session, now - INBOX_KEPT)
