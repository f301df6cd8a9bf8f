"""A child process that is kept running: started again, after a growing pause, whenever it ends by itself."""

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

log = logging.getLogger(__name__)

STOP_TIMEOUT_S = 5.0
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0
HEALTHY_S = 10.0
LARGEST_LOG_BYTES = 20_000_000


class KeptProcess:
    """A Python module with its arguments. It ends with this process, however this one ends."""

    def __init__(self, name: str, module: Sequence[str], environment: Mapping[str, str], log_path: Path) -> None:
        self.name = name
        self.restarts = 0
        """Times it was started again since `start`."""
        self._module = module
        self._environment = dict(environment)
        self._log_path = log_path
        self._stopping = threading.Event()
        self._changing = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._watch = threading.Thread(target=self._keep, name=name, daemon=True)

    @property
    def pid(self) -> int | None:
        """Its process while it runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def start(self) -> None:
        """Start it and keep it running until `stop`."""
        self._spawn()
        self._watch.start()

    def ask_to_stop(self) -> None:
        """Tell it to end, without waiting."""
        with self._changing:
            self._stopping.set()
            process = self._process
        if process is not None:
            process.terminate()

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """End it and wait; it is killed when the time is up."""
        self.ask_to_stop()
        process = self._process
        if process is None:
            return
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            log.warning("did not end in time and is killed", extra={"process_name": self.name})
            process.kill()
            process.wait(STOP_TIMEOUT_S)
        if process.stdin is not None:
            process.stdin.close()

    def last_words(self) -> str:
        """The end of what it wrote."""
        try:
            return self._log_path.read_text(errors="replace")[-800:].strip() or "(none)"
        except FileNotFoundError:
            return "(none)"

    def _spawn(self) -> None:
        if self._log_path.exists() and self._log_path.stat().st_size > LARGEST_LOG_BYTES:
            self._log_path.replace(self._log_path.with_suffix(".log.1"))
        with self._log_path.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", "saras.child", *self._module],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env=self._environment,
                start_new_session=True,  # a Ctrl-C at the terminal is for us; we end it in order
            )

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
            pause_s = FIRST_PAUSE_S if time.monotonic() - started > HEALTHY_S else pause_s
            log.warning(
                "a process ended and starts again", extra={"process_name": self.name, "code": code, "pause_s": pause_s}
            )
            if self._stopping.wait(pause_s):
                return
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
            with self._changing:
                if self._stopping.is_set():
                    return
                if process.stdin is not None:
                    process.stdin.close()
                self._spawn()
                self.restarts += 1
