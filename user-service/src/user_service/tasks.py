"""What runs beside the API by the clock: the minute's upkeep."""

import logging
import threading

from saras_common.errors import Unavailable
from user_service import usecases
from user_service.usecases import Context

EVERY_S = 60.0
_log = logging.getLogger(__name__)


def run_upkeep(ctx: Context, stop: threading.Event) -> None:
    """`usecases.tidy` every minute until ``stop``; a database that is down is tried again the next minute."""
    while not stop.is_set():
        try:
            usecases.tidy(ctx)
        except Unavailable as error:
            _log.warning("upkeep waits: %s", error)
        stop.wait(EVERY_S)
