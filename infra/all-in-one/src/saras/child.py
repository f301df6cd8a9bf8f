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


def _end_with_parent() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os._exit(1)


def main() -> None:
    """Watch the pipe, become the module."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs inherit that it is ignored
    threading.Thread(target=_end_with_parent, name="parent-watch", daemon=True).start()
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
