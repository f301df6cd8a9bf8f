"""What runs beside the API by the clock."""

import contextlib
import logging
import threading
from datetime import timedelta

from analytics_service.usecases import closes, reports, trades
from analytics_service.usecases.closes import CloseRunning
from analytics_service.usecases.context import Context
from saras_common.errors import Unavailable
from saras_common.inbox import Inbox

_log = logging.getLogger(__name__)

EVERY_S = 5.0
INBOX_KEPT = timedelta(days=7)
"""Far longer than a bus redelivers."""


def run_upkeep(ctx: Context, inbox: Inbox, stop: threading.Event) -> None:
    """Do the rounds until ``stop``; a database or a book that is down is tried again the next time."""
    while not stop.wait(EVERY_S):
        try:
            turn(ctx, inbox)
        except Unavailable as error:
            _log.warning("upkeep waits: %s", error)
        except Exception:  # noqa: BLE001 - the next round may do better; the log tells
            _log.exception("upkeep failed")


def turn(ctx: Context, inbox: Inbox) -> None:
    """One round."""
    now = ctx.clock.now()
    with ctx.database.for_service() as session:
        trades.reconsider(session, band_percent=ctx.rules.price_band_percent, now=now)
    day = closes.due_day(ctx)
    if day is not None:
        with contextlib.suppress(CloseRunning):
            closes.take_close(ctx, day)
            reports.schedule(ctx, day)
    while reports.work_one(ctx):
        pass
    with ctx.database.for_service() as session:
        inbox.prune(session, now - INBOX_KEPT)
