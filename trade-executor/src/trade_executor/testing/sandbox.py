"""A kite-sandbox in a process of its own: where the executor meets a broker over real sockets."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import requests

START_S = 10.0


class SandboxProcess:
    """Started on a free port; ``url`` is where. Its journal is the oracle."""

    def __init__(self, home: Path, **environment: str) -> None:
        env = {**os.environ, "SANDBOX_HOME": str(home), "SANDBOX_PORT": "0", **environment}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "kite_sandbox"], env=env, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert " at http://" in line, f"the sandbox did not start: {line!r}"
        self.url = line.rsplit(" ", 1)[1].strip()
        self._wait()

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """One of the sandbox's own routes."""
        answer = requests.post(self.url + path, json=body, timeout=5)
        assert answer.status_code == requests.codes.ok, answer.text
        document: dict[str, Any] = answer.json()
        return document

    def fault(self, route: str, kind: str, count: int = 1, after: int = 0) -> None:
        """What the next calls of a route meet."""
        self.post("/sandbox/faults", {"route": route, "kind": kind, "count": count, "after": after})

    def journal(self, event: str | None = None) -> list[dict[str, Any]]:
        """All there ever was, in order; of one kind if told."""
        items = requests.get(self.url + "/sandbox/journal", timeout=5).json()["items"]
        return [item for item in items if event is None or item["event"] == event]

    def stop(self) -> None:
        """End it."""
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait(15)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _wait(self) -> None:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            try:
                if requests.get(self.url + "/health/ready", timeout=2).status_code == requests.codes.ok:
                    return
            except requests.ConnectionError:
                time.sleep(0.05)
        self.stop()
        raise AssertionError("the sandbox never became ready")
