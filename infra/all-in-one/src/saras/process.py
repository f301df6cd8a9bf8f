"""`saras up` as a process of its own, started and ended by another program: the demo and the tests."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from saras.client import Http, NotReachable
from saras.errors import CannotStart
from saras.ports import free_ports
from saras.settings import child_environment

ADMIN_EMAIL = "admin@saras.example.com"
ADMIN_PASSWORD = "correct-horse-7-battery"  # noqa: S105 - of throw-away homes only


@dataclass
class PlatformProcess:
    """A platform on ``home`` with ports of its own; ``environment`` is added to this process's."""

    home: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    port: int = 0
    sandbox_port: int = 0
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        if not self.port:
            self.port, self.sandbox_port = free_ports(2)

    @property
    def url(self) -> str:
        """Where its gateway answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def sandbox_url(self) -> str:
        """Where its sandbox answers."""
        return f"http://127.0.0.1:{self.sandbox_port}"

    @property
    def output(self) -> Path:
        """What it printed."""
        return self.home.parent / f"{self.home.name}.out"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, _kind: type[BaseException] | None, _e: BaseException | None, _tb: TracebackType | None) -> None:
        self.stop()

    def start(self, *, extra: Mapping[str, str] | None = None, wait: bool = True, timeout_s: float = 90.0) -> float:
        """Start and, unless told otherwise, wait until ready; the seconds it took."""
        started = time.monotonic()
        environment = child_environment(
            {
                "SARAS_HOME": str(self.home),
                "SARAS_PORT": str(self.port),
                "SARAS_SANDBOX_PORT": str(self.sandbox_port),
                "SARAS_ADMIN_EMAIL": ADMIN_EMAIL,
                "SARAS_ADMIN_PASSWORD": ADMIN_PASSWORD,
                **self.environment,
                **(extra or {}),
            }
        )
        self.home.parent.mkdir(parents=True, exist_ok=True)
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", "saras", "up", *self.arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        if wait:
            self.wait_ready(timeout_s)
        return time.monotonic() - started

    def wait_ready(self, timeout_s: float = 90.0) -> None:
        """Block until every dependency is ready; `CannotStart` with its output when it ends or the time is up."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if not self.alive:
                break
            try:
                with Http(self.url, timeout_s=5.0) as http:
                    if http.send("GET", "/health/ready").ok:
                        return
            except NotReachable:
                pass
            time.sleep(0.05)
        raise CannotStart(f"the platform did not become ready: {self.output.read_text(errors='replace')[-3000:]}")

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """Kill it without a warning, as `kill -9` does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def wait_dead(self, timeout_s: float) -> bool:
        """Whether it ended by itself in time, as one does that meets a failpoint."""
        try:
            if self.process is not None:
                self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def stop(self, timeout_s: float = 60.0) -> int:
        """SIGTERM and wait; its exit code."""
        if self.process is None:
            return 0
        if self.alive:
            os.kill(self.process.pid, signal.SIGTERM)
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
