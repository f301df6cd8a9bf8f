"""The upkeep beside the API: old answers and inbox rows are forgotten, the ledger is looked at."""

import logging
import threading
from collections.abc import Sequence
from datetime import timedelta

from portfolio_service.store import books, idempotency
from portfolio_service.telemetry import BookMetrics
from portfolio_service.usecases.context import Context
from saras_common.errors import Unavailable
from saras_common.inbox import Inbox

_log = logging.getLogger(__name__)

EVERY_S = 60.0
INBOX_KEPT = timedelta(days=7)
"""Far longer than a bus redelivers."""

_PRUNE_ROWS = 5000


def run_upkeep(
    context: Context, inboxes: Sequence[Inbox], answers_kept: timedelta, metrics: BookMetrics, stop: threading.Event
) -> None:
    """Do the rounds every minute until ``stop``."""
    while not stop.is_set():
        try:
            check_ledger(context, metrics)
            prune(context, inboxes, answers_kept)
        except Unavailable as error:
            _log.warning("upkeep waits: %s", error)
        except Exception:  # noqa: BLE001 - the next round may do better; the log tells
            _log.exception("upkeep failed")
        stop.wait(EVERY_S)


def check_ledger(context: Context, metrics: BookMetrics) -> int:
    """Sum every asset over all balances; the absolute sum of what is off."""
    with context.database.for_service() as session:
        off = sum(abs(int(amount)) for _, _, amount in books.list_unbalanced_assets(session))
    metrics.imbalance.set(off)
    if off:
        _log.error("the balances do not sum to zero", extra={"off": off})
    return off


def prune(context: Context, inboxes: Sequence[Inbox], answers_kept: timedelta) -> None:
    """Forget answers and event ids past their time, some at a time."""
    now = context.clock.now()
    while True:
        with context.database.for_service() as session:
            if idempotency.prune_answers(session, now - answers_kept, _PRUNE_ROWS) < _PRUNE_ROWS:
                break
    for inbox in inboxes:
        with context.database.for_service() as session:
            inbox.prune(session, now - INBOX_KEPT)
