"""What runs beside the feed's consumer by the clock: old rows go, so do the ids its inbox remembered."""

import logging
import threading
from datetime import timedelta

from notification_service.usecases.context import Context
from notification_service.usecases.feed import prune_feed
from saras_common.errors import Unavailable
from saras_common.inbox import Inbox

EVERY_S = 60.0
_log = logging.getLogger(__name__)


def run_feed_upkeep(context: Context, inbox: Inbox, keep: timedelta, stop: threading.Event) -> None:
    """Every minute until ``stop``; a database that is down is tried again the next minute."""
    while not stop.wait(EVERY_S):
        before = context.clock.now() - keep
        try:
            prune_feed(context.database, before)
            with context.database.for_service() as session:
                inbox.prune(session, before)
        except Unavailable as error:
            _log.warning("upkeep of the feed waits: %s", error)
