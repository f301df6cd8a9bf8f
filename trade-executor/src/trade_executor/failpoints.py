"""Named places to crash or stop at. Inactive unless the sandbox's settings name one.

``name`` or ``name:nth`` kills the process there. ``@file`` stops it (SIGSTOP) at the place written in the file.
"""

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

Failpoint = Callable[[str], None]
"""Called with the name of the place just reached."""

NAMES = (
    "orders_taken",
    "orders_committed",
    "cancels_applied",
    "window_closed",
    "batch_planned",
    "before_sending_committed",
    "after_sending_committed",
    "before_send",
    "lease_checked",
    "after_send",
    "before_answer_committed",
    "after_answer_committed",
    "orders_read",
    "trades_read",
    "before_fills_committed",
    "after_fills_committed",
    "doubt_resolved",
    "after_cut_committed",
    "after_cut_sent",
    "funds_mirrored",
    "reconciliation_asked",
    "reconciliation_finished",
    "lease_taken",
)
"""Every place there is, in the order an order meets them."""


def nothing(_name: str) -> None:
    """The failpoint of normal work."""


class KillAt:
    """SIGKILL to this process the ``nth`` time a place is reached: nothing is flushed, closed or rolled back."""

    def __init__(self, name: str, nth: int = 1) -> None:
        if name not in NAMES:
            raise ValueError(f"no failpoint is called {name!r}")
        self._name = name
        self._left = nth
        self._lock = threading.Lock()

    def __call__(self, name: str) -> None:
        if name != self._name:
            return
        with self._lock:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


class StopWhereTold:
    """SIGSTOP to this process at the place that ``order`` names; the file goes with it, so of several one stops."""

    def __init__(self, order: Path) -> None:
        self._order = order

    def __call__(self, name: str) -> None:
        try:
            if self._order.read_text() != name:
                return
            self._order.unlink()
        except FileNotFoundError:
            return
        signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)  # sent to the process, it would stop us a bit later


def parse(text: str | None) -> Failpoint:
    """``name``, ``name:nth`` or ``@file``; nothing for an empty one."""
    if not text:
        return nothing
    if text.startswith("@"):
        return StopWhereTold(Path(text[1:]))
    name, _, nth = text.partition(":")
    return KillAt(name, int(nth or "1"))
