"""The sandbox broker as a child process: kept running, and ended if an earlier platform left one behind."""

import contextlib
import json
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

from saras.client import Http, NotReachable
from saras.errors import CannotStart
from saras.kept import STOP_TIMEOUT_S, KeptProcess

MODULE = "kite_sandbox"


class SandboxProcess(KeptProcess):
    """`python -m kite_sandbox` on a home of its own; its journal there survives every restart."""

    def __init__(self, home: Path, url: str, environment: Mapping[str, str], log_path: Path) -> None:
        super().__init__("sandbox", [MODULE], environment, log_path)
        self._url = url
        self._note = home / "process.json"
        home.mkdir(parents=True, exist_ok=True)

    def stop_stale(self) -> None:
        """End a sandbox an earlier, killed platform left on this home."""
        with contextlib.suppress(FileNotFoundError, ValueError, KeyError, psutil.NoSuchProcess):
            note = json.loads(self._note.read_text())
            stale = psutil.Process(note["pid"])
            if stale.create_time() == note["created"]:
                stale.terminate()
                with contextlib.suppress(psutil.TimeoutExpired):
                    stale.wait(STOP_TIMEOUT_S)
                    return
                stale.kill()
                stale.wait(STOP_TIMEOUT_S)

    def wait_ready(self, timeout_s: float = 30.0) -> None:
        """Block until it answers; `CannotStart` with its last words when it does not."""
        deadline = time.monotonic() + timeout_s
        while True:
            with Http(self._url, timeout_s=2.0) as http, contextlib.suppress(NotReachable):
                http.send("GET", "/")
                return
            if time.monotonic() > deadline or self.pid is None:
                raise CannotStart(f"the sandbox broker does not start; its last words: {self.last_words()}")
            time.sleep(0.03)

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """End it and wait."""
        super().stop(timeout_s)
        self._note.unlink(missing_ok=True)

    def _spawn(self) -> None:
        super()._spawn()
        pid = self.pid
        if pid is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            self._note.write_text(json.dumps({"pid": pid, "created": psutil.Process(pid).create_time()}))
