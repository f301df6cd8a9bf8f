"""A child process that is kept running: started again, after a growing pause, whenever it ends by itself.

One that listens does so on a socket of ours. Connections then wait while it starts again instead of being refused, and
another process can take over from it in the middle of its work.
"""

import contextlib
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from saras.errors import CommandFailed

log = logging.getLogger(__name__)

STOP_TIMEOUT_S = 5.0
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0
HEALTHY_S = 10.0
READY_TIMEOUT_S = 60.0
DRAIN_TIMEOUT_S = 30.0
LARGEST_LOG_BYTES = 20_000_000


class KeptProcess:
    """A Python module with its arguments. It ends with this process, however this one ends."""

    def __init__(
        self,
        name: str,
        module: Sequence[str],
        environment: Mapping[str, str],
        log_path: Path,
        *,
        listener: socket.socket | None = None,
    ) -> None:
        self.name = name
        self.restarts = 0
        """Times it was started again since `start`."""
        self._module = module
        self._environment = dict(environment)
        self._log_path = log_path
        self._listener = listener
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
            # who follows another is asked to drain (SIGTERM); nobody follows this one
            process.send_signal(signal.SIGTERM if self._listener is None else signal.SIGINT)

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """End it and wait; it is killed when the time is up."""
        self.ask_to_stop()
        if self._process is not None:
            self._await_end(self._process, timeout_s)

    def replace(self) -> None:
        """Start another one on the same socket and, once that is ready, let this one finish what it has and end.

        `CommandFailed` when the new one does not become ready; this one then goes on as if nothing had been.
        """
        reading, writing = os.pipe()
        try:
            try:
                fresh = self._launch(writing)
            finally:
                os.close(writing)
            is_ready = bool(select.select([reading], [], [], READY_TIMEOUT_S)[0] and os.read(reading, 1))
        finally:
            os.close(reading)
        unneeded: subprocess.Popen[bytes] | None = fresh
        with self._changing:
            is_wanted = is_ready and not self._stopping.is_set()
            if is_wanted:
                unneeded, self._process = self._process, fresh
        if unneeded is not None:
            unneeded.terminate()
            self._await_end(unneeded, DRAIN_TIMEOUT_S)
        if not is_wanted:
            raise CommandFailed(f"{self.name}: the new process did not become ready; its log: {self.last_words()}")

    def last_words(self) -> str:
        """The end of what it wrote."""
        try:
            return self._log_path.read_text(errors="replace")[-800:].strip() or "(none)"
        except FileNotFoundError:
            return "(none)"

    def _await_end(self, process: "subprocess.Popen[bytes]", timeout_s: float) -> None:
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            log.warning("did not end in time and is killed", extra={"process_name": self.name})
            process.kill()
            process.wait(STOP_TIMEOUT_S)
        _close_pipe(process)

    def _spawn(self) -> None:
        self._process = self._launch()

    def _launch(self, ready_fd: int | None = None) -> "subprocess.Popen[bytes]":
        if self._log_path.exists() and self._log_path.stat().st_size > LARGEST_LOG_BYTES:
            self._log_path.replace(self._log_path.with_suffix(".log.1"))
        handed = {"LISTEN_FD": self._listener.fileno() if self._listener else None, "READY_FD": ready_fd}
        given = {name: fd for name, fd in handed.items() if fd is not None}
        with self._log_path.open("ab") as output:
            return subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", "saras.child", *self._module],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env={**self._environment, **{name: str(fd) for name, fd in given.items()}},
                pass_fds=tuple(given.values()),
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
            if process is not self._process:
                continue  # it was replaced
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
                if process is self._process:
                    _close_pipe(process)
                    self._spawn()
                    self.restarts += 1


def _close_pipe(process: "subprocess.Popen[bytes]") -> None:
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
