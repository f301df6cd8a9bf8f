"""The services' loops (consumers, relays, executor) as threads of this process: started again when they fail."""

import logging
import threading
import time
from collections.abc import Sequence

from saras_common.web import Worker

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 10.0
HEALTHY_S = 30.0


class Threads:
    """Runs every worker until `stop`; one that raises or returns early is started again after a growing pause."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._keep, args=(worker,), name=worker.name, daemon=True) for worker in workers
        ]

    def start(self) -> None:
        """Start them all."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout_s: float = 8.0) -> list[str]:
        """Ask all to end and wait; the names of those still busy when the time is up."""
        self._stop.set()
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, deadline - time.monotonic()))
        return [thread.name for thread in self._threads if thread.is_alive()]

    def _keep(self, worker: Worker) -> None:
        pause_s = FIRST_PAUSE_S
        while not self._stop.is_set():
            started = time.monotonic()
            try:
                worker.run(self._stop)
                reason = "ended"
            except Exception:
                log.exception("worker failed", extra={"worker": worker.name})
                reason = "failed"
            if self._stop.is_set():
                return
            if time.monotonic() - started > HEALTHY_S:
                pause_s = FIRST_PAUSE_S
            log.warning("worker starts again", extra={"worker": worker.name, "reason": reason, "pause_s": pause_s})
            self._stop.wait(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
