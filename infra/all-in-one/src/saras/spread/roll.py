"""The roll of processes: written by the platform that runs them, read by `saras status`."""

import contextlib
import http.client
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from saras.home import read_private, write_private

EVERY_S = 1.0
ASK_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One process: ``port`` answers ``/health/live``, 0 for a server that does not."""

    name: str
    pid: int | None
    restarts: int
    port: int
    log: str


@contextlib.contextmanager
def kept_roll(path: Path, look: Callable[[], Sequence[Entry]]) -> Iterator[None]:
    """While inside, the roll at ``path`` is what ``look`` gave a second ago."""
    stop = threading.Event()

    def keep() -> None:
        last: list[Entry] | None = None
        while True:
            now = list(look())
            if now != last:
                write_private(path, {"processes": [asdict(entry) for entry in now]})
                last = now
            if stop.wait(EVERY_S):
                return

    thread = threading.Thread(target=keep, name="roll", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        path.unlink(missing_ok=True)


def read_roll(path: Path) -> list[Entry]:
    """The processes of the platform that runs now; empty when it runs in one process or not at all."""
    kept = read_private(path)
    return [] if kept is None else [Entry(**entry) for entry in kept["processes"]]


def state_of(entry: Entry) -> str:
    """In one word: up, starting, or down."""
    if entry.pid is None or not psutil.pid_exists(entry.pid):
        return "down"
    if not entry.port:
        return "up"
    connection = http.client.HTTPConnection("127.0.0.1", entry.port, timeout=ASK_TIMEOUT_S)
    try:
        connection.request("GET", "/health/live")
        return "up" if connection.getresponse().status == http.client.OK else "starting"
    except OSError:
        return "starting"
    finally:
        connection.close()
