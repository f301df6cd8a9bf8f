"""Logs of the all-in-one go to files in its home; the terminal belongs to the progress display."""

import logging
import os
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path

from saras_common import logs

LARGEST_BYTES = 20_000_000
KEPT = 3
STANDARD_ERROR = 2


def log_to(folder: Path, level: str) -> Path:
    """Send every logger's JSON lines to ``saras.log`` in ``folder``, rotated by size; its path."""
    logs.setup("saras", level)
    path = folder / "saras.log"
    handler = RotatingFileHandler(path, maxBytes=LARGEST_BYTES, backupCount=KEPT, encoding="utf-8")
    handler.setFormatter(logs.JsonFormatter("saras"))
    logging.getLogger().handlers = [handler]
    return path


def keep_children_off_the_terminal(folder: Path) -> None:
    """What child processes write to their standard error goes to ``children.log``; our own does not."""
    sys.stderr.flush()
    ours = os.dup(sys.stderr.fileno())
    sys.stderr = os.fdopen(ours, "w", buffering=1, errors="backslashreplace")
    log = os.open(folder / "children.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, STANDARD_ERROR)
    os.close(log)
