"""Runs a module as a child that ends with its parent, however the parent ends: ``python -m saras.child MODULE ARGS…``.

Standard input is a pipe whose other end only the parent holds; when it closes, this process ends itself. That works
where no parent-death signal exists and does not depend on which of the parent's threads started the child.
"""

import os
import runpy
import signal
import sys
import threading
import time

GRACE_S = 5.0
INTERRUPTED = 130


def _end_with_parent() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGINT)  # not SIGTERM, at which servers drain for whoever follows them
    time.sleep(GRACE_S)
    os._exit(1)


def main() -> None:
    """Watch the pipe, become the module."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs inherit that it is ignored
    threading.Thread(target=_end_with_parent, name="parent-watch", daemon=True).start()
    sys.argv = sys.argv[1:]
    try:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    except KeyboardInterrupt:  # asked to end before, or by a module that has ended in order and says why
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
