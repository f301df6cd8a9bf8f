"""What runs beside the API by the clock: runs step by step, drift and instalments, upkeep."""

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta

from saras_common.errors import Unavailable
from saras_common.inbox import Inbox
from smallcase_service.store import keys
from smallcase_service.usecases import cancelling, checking, composing, running, samples, sips, watching
from smallcase_service.usecases.context import Context

_log = logging.getLogger(__name__)

UPKEEP_EVERY_S = 60.0
INBOX_KEPT = timedelta(days=7)
KEYS_KEPT = timedelta(hours=72)


def run_runs(ctx: Context, every_s: float, stop: threading.Event) -> None:
    """Drive runs and trim baskets until ``stop``; without a pause while there are any runs to move."""

    def step() -> bool:
        moved = running.drive(ctx) + cancelling.cancel_resting(ctx)
        checking.check_holdings(ctx)
        return moved > 0

    _repeat("runs", step, every_s, stop)


def run_watch(ctx: Context, every_s: float, stop: threading.Event) -> None:
    """Samples, instalments, offers and allowed repairs, again and again until ``stop``."""
    waiting = samples.Samples(ctx)

    def watch() -> bool:
        waiting.make()
        composing.start_indexes(ctx)
        watching.repair_automatically(ctx)
        watching.offer_rebalances(ctx)
        return sips.make_instalments(ctx) == sips.AT_ONCE

    _repeat("watch", watch, every_s, stop)


def run_upkeep(ctx: Context, inboxes: Sequence[Inbox], stop: threading.Event) -> None:
    """Forget old keys and inbox rows every minute until ``stop``."""

    def prune() -> bool:
        now = ctx.clock.now()
        with ctx.database.for_service() as session:
            keys.prune(session, now - KEYS_KEPT)
            for inbox in inboxes:
                inbox.prune(session, now - INBOX_KEPT)
        return False

    _repeat("upkeep", prune, UPKEEP_EVERY_S, stop)


def _repeat(name: str, work: Callable[[], bool], every_s: float, stop: threading.Event) -> None:
    """``work`` again and again, at once while it says there is more."""
    while not stop.is_set():
        has_more = False
        try:
            has_more = work()
        except Unavailable as error:
            _log.warning("%s wait: %s", name, error)
        except Exception:  # noqa: BLE001 - the next round may do better; the log tells
            _log.exception("%s failed", name)
        if not has_more:
            stop.wait(every_s)
