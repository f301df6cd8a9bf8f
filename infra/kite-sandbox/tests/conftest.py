"""A sandbox in a process of its own on a free port, and engines built by hand."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from kiteconnect import KiteConnect

from kite_sandbox.engine import records as r
from kite_sandbox.engine.broker import Broker, Rules
from kite_sandbox.engine.days import advance
from kite_sandbox.engine.state import State
from kite_sandbox.instruments import Catalogue, shipped_instruments
from kite_sandbox.market_hours import MarketHours

MONDAY = datetime(2026, 4, 6, 5, 0, tzinfo=UTC)
"""10:30 in Mumbai on a trading day."""


@dataclass
class Server:
    """A running sandbox."""

    url: str
    home: Path
    process: subprocess.Popen[str]
    environment: dict[str, str] = field(default_factory=dict)

    def call(self, method: str, path: str, **arguments: Any) -> requests.Response:
        return requests.request(method, self.url + path, timeout=10, **arguments)

    def post(self, path: str, body: object) -> dict[str, Any]:
        answer = self.call("POST", path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def fault(self, route: str, kind: str, count: int = 1, after: int = 0) -> None:
        self.post("/sandbox/faults", {"route": route, "kind": kind, "count": count, "after": after})

    def journal(self) -> list[dict[str, Any]]:
        return self.call("GET", "/sandbox/journal").json()["items"]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(15)
        if self.process.stdout:
            self.process.stdout.close()


def start_server(home: Path, **environment: str) -> Server:
    env = {**os.environ, "SANDBOX_HOME": str(home), "SANDBOX_PORT": "0", **environment}
    process = subprocess.Popen([sys.executable, "-m", "kite_sandbox"], env=env, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    if " at http://" not in line:
        process.wait(10)
        process.stdout.close()
        raise AssertionError(f"the sandbox did not start: {line!r}")
    server = Server(line.rsplit(" ", 1)[1].strip(), home, process, environment)
    for _ in range(100):
        try:
            if server.call("GET", "/health/ready").status_code == 200:
                return server
        except requests.ConnectionError:
            pass
        time.sleep(0.05)
    server.stop()
    raise AssertionError("the sandbox never became ready")


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = start_server(
        tmp_path_factory.mktemp("sandbox"),
        SANDBOX_CASH="10000000",
        SANDBOX_RATE_LIMITS="off",
    )
    yield server
    server.stop()


@pytest.fixture
def server(shared_server: Server) -> Server:
    """The shared sandbox, as new."""
    shared_server.post("/sandbox/reset", {})
    shared_server.post("/sandbox/prices", {"NSE:INFY": "1500.00", "NSE:SBIN": "800.00"})
    return shared_server


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts sandboxes with an environment of their own, on one home."""
    started = []

    def start(**environment: str) -> Server:
        started.append(start_server(tmp_path / "home", **environment))
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture
def new_broker() -> Callable[..., Broker]:
    """A broker in memory with one account, ``key``, and ₹10 lakh."""

    def build(cash_paise: int = 100_000_000, *, hours: MarketHours | None = None, **rules: Any) -> Broker:
        state = State(Catalogue(shipped_instruments()), hours or MarketHours("always"))
        broker = Broker(state, Rules(**rules))
        broker.emit(r.JournalOpened(at=MONDAY, last_order_id=0, last_trade_id=0))
        broker.emit(r.AccountOpened(at=MONDAY, api_key="key", user_id="ZS0001", cash_paise=cash_paise))
        advance(broker, MONDAY)
        return broker

    return build


def log_in_to(server: Server, api_key: str = "sandbox", secret: str = "sandbox-secret", **options: Any) -> KiteConnect:
    """A logged-in client of the unmodified library."""
    kite = KiteConnect(api_key, root=server.url, **options)
    page = server.call("GET", f"/connect/login?v=3&api_key={api_key}", headers={"Accept": "application/json"})
    kite.generate_session(page.json()["request_token"], secret)
    return kite


@pytest.fixture
def log_in() -> Callable[..., KiteConnect]:
    return log_in_to


@pytest.fixture
def kite(server: Server) -> KiteConnect:
    return log_in_to(server)
