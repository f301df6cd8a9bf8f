"""What runs beside the API: the sending of what is due, and the beat."""

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

from notification_service.domain.deliveries import Delivery
from notification_service.usecases.context import Context
from notification_service.usecases.delivering import PostRoom, claim_due, deliver, queue_due, release
from notification_service.usecases.digests import gather_digests
from notification_service.usecases.upkeep import hold_beat, prune
from saras_common.consumer import process_burst
from saras_common.errors import Unavailable
from saras_common.inbox import Inbox

_log = logging.getLogger(__name__)

UPKEEP_EVERY_S = 60.0
PATIENCE_S = 5.0
"""How long each round of sending waits for a burst of the book."""
ROOM = 1000
"""Deliveries handed to the task queue and not yet begun; the rest waits in the table."""
QUEUED_FOR = timedelta(minutes=5)
"""A task that was lost is handed over again after this."""

Publish = Callable[[Sequence[UUID]], None]
"""Hands deliveries to the task queue."""


def run_sending(context: Context, post_room: PostRoom, threads: int, poll_s: float, stop: threading.Event) -> None:
    """Send what is due until ``stop``: the worker of an installation without a task queue."""
    with ThreadPoolExecutor(threads, thread_name_prefix="sending") as pool:
        while not stop.is_set():
            process_burst.wait(stop, PATIENCE_S)
            try:
                sent = send_due(context, post_room, pool, limit=4 * threads)
            except Unavailable as error:
                _log.warning("sending waits: %s", error)
                sent = 0
            if not sent:
                stop.wait(poll_s)


def send_due(context: Context, post_room: PostRoom, pool: ThreadPoolExecutor, limit: int) -> int:
    """One look: take what is due, send it side by side; how many were taken."""

    def send(delivery: Delivery) -> None:
        try:
            deliver(context, post_room, delivery)
        except Unavailable as error:
            _log.warning("delivery %s will be tried again: %s", delivery.id, error)
        except Exception:  # noqa: BLE001 - its neighbours go on; the lease ends and it is tried again
            _log.exception("delivery %s failed; it will be tried again", delivery.id)

    taken = claim_due(context, limit)
    for _ in pool.map(send, taken):
        pass
    return len(taken)


def hand_over(context: Context, publish: Publish) -> None:
    """Put what is due on the task queue; what it does not take is due at once again."""
    due = queue_due(context, ROOM, QUEUED_FOR)
    try:
        publish(due)
    except Exception:
        release(context, due)
        raise


def run_beat(
    context: Context,
    holder: UUID,
    inboxes: Sequence[Inbox],
    publish: Publish | None,
    poll_s: float,
    stop: threading.Event,
) -> None:
    """While holding the lease: hand over what is due, gather digests, forget what is old. Until ``stop``."""
    pruned_at = float("-inf")
    while not stop.is_set():
        try:
            if hold_beat(context, holder):
                if publish is not None:
                    hand_over(context, publish)
                gather_digests(context)
                if context.clock.monotonic() - pruned_at >= UPKEEP_EVERY_S:
                    pruned_at = context.clock.monotonic()
                    prune(context, inboxes)
        except Unavailable as error:
            _log.warning("the beat waits: %s", error)
        except Exception:  # noqa: BLE001 - the next beat may do better; the log tells
            _log.exception("a beat failed")
        stop.wait(poll_s)
