"""The sandbox broker as a child process: started, watched, started again when it dies, ended with us."""

import contextlib
import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

from saras.client import Http, NotReachable
from saras.errors import CannotStart

log = logging.getLogger(__name__)

MODULE = "kite_sandbox"
STOP_TIMEOUT_S = 5.0
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0


class SandboxProcess:
    """`python -m kite_sandbox` on a home of its own; its journal there survives every restart."""

    def __init__(self, home: Path, url: str, environment: Mapping[str, str], log_path: Path) -> None:
        self._url = url
        self._environment = dict(environment)
        self._log_path = log_path
        self._note = home / "process.json"
        self._stopping = threading.Event()
        self._changing = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._watch = threading.Thread(target=self._keep, name="sandbox", daemon=True)
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

    def start(self) -> None:
        """Start it and keep it running until `stop`."""
        self._spawn()
        self._watch.start()

    def wait_ready(self, timeout_s: float = 30.0) -> None:
        """Block until it answers; `CannotStart` with its last words when it does not."""
        deadline = time.monotonic() + timeout_s
        while True:
            with Http(self._url, timeout_s=2.0) as http, contextlib.suppress(NotReachable):
                http.send("GET", "/")
                return
            process = self._process
            if time.monotonic() > deadline or (process is not None and process.poll() is not None):
                raise CannotStart(f"the sandbox broker does not start; its last words: {self._last_words()}")
            time.sleep(0.03)

    def stop(self) -> None:
        """End it and wait."""
        with self._changing:
            self._stopping.set()
            process = self._process
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_TIMEOUT_S)
        if process.stdin is not None:
            process.stdin.close()
        self._note.unlink(missing_ok=True)

    def _spawn(self) -> None:
        with self._log_path.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", "saras.child", MODULE],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env=self._environment,
                start_new_session=True,  # a Ctrl-C at the terminal is for us; we end it in order
            )
        with contextlib.suppress(psutil.NoSuchProcess):
            created = psutil.Process(self._process.pid).create_time()
            self._note.write_text(json.dumps({"pid": self._process.pid, "created": created}))

    def _keep(self) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            process = self._process
            if process is None:
                return
            started = time.monotonic()
            code = process.wait()
            if self._stopping.is_set():
                return
            pause_s = FIRST_PAUSE_S if time.monotonic() - started > LONGEST_PAUSE_S * 2 else pause_s
            log.warning("the sandbox broker ended and starts again", extra={"code": code, "pause_s": pause_s})
            if self._stopping.wait(pause_s):
                return
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
            with self._changing:
                if self._stopping.is_set():
                    return
                self._spawn()

    def _last_words(self) -> str:
        try:
            return self._log_path.read_text(errors="replace")[-800:].strip() or "(none)"
        except FileNotFoundError:
            return "(none)"
