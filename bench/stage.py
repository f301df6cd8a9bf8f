"""The platform under test: `saras up` as its own process on a home of its own, with users, funds and tokens."""

import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg
from crowd import fund

from saras.client import Api, Http, NotReachable, Sandbox
from saras.demo.people import Person, make_people
from saras.home import Home
from saras.seeding import Seeder
from saras_common.postgres import EmbeddedPostgres, free_port
from saras_common.servers import PrivateRabbit

GENEROUS = {
    "RATE_USER": "1000000/second",
    "RATE_ADDRESS": "1000000/second",
    "RATE_LOGIN": "100000/minute",
    "SANDBOX_RATE_LIMITS": "strict",
    "LOG_LEVEL": "WARNING",
    "ACCESS_TTL_S": "3600",
}
READY_TIMEOUT_S = 90.0
FUNDS_PAISE = 10**9


@dataclass
class Stage:
    """A running platform and what a bench needs of it."""

    home: Path
    url: str
    port: int
    sandbox_url: str
    database_url: str
    environment: dict[str, str]
    process: subprocess.Popen[bytes]

    def admin(self) -> Api:
        """Signed in as the administrator."""
        api = Api(self.url, timeout_s=120)
        api.login(self.environment["SARAS_ADMIN_EMAIL"], self.environment["SARAS_ADMIN_PASSWORD"])
        return api

    def sandbox(self) -> Sandbox:
        """The broker's own routes."""
        return Sandbox(self.sandbox_url)

    def people(self, count: int, *, prefix: str, funds: int = FUNDS_PAISE) -> list[Person]:
        """``count`` new users, signed in and funded."""
        made = make_people(Seeder(self.url, Home(self.home)), self.url, count, prefix=prefix)
        made.close()
        fund(self.database_url, [person.id for person in made.people], funds)
        return made.people

    def reconcile(self) -> dict[str, Any]:
        """A reconciliation's report; asked again while the book still works through what it was told."""
        deadline = time.monotonic() + READY_TIMEOUT_S
        while True:
            with self.admin() as admin:
                answer = admin.call("POST", "/admin/reconciliation/run")
            if answer.ok:
                report: dict[str, Any] = answer.body
                return report
            if answer.code != "book_silent" or time.monotonic() > deadline:
                raise RuntimeError(answer.describe())

    def instruments(self, count: int) -> list[str]:
        """Tradable names."""
        with self.admin() as admin:
            names = [item["instrument"] for item in admin.pages("/instruments") if item.get("kind", "EQ") == "EQ"]
        return names[:count]

    def query(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows straight from the database, as its administrator."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            return connection.execute(statement.encode(), values).fetchall()

    def wait_until(self, statement: str, *values: Any, timeout_s: float = 300.0) -> float:
        """Poll until ``statement`` answers true; the instant (perf_counter) it did."""
        deadline = time.monotonic() + timeout_s
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            while time.monotonic() < deadline:
                row = connection.execute(statement.encode(), values).fetchone()
                if row and row[0]:
                    return time.perf_counter()
                time.sleep(0.02)
        raise TimeoutError(statement)

    def resident_mb(self) -> float:
        """Memory of the services' process, shared pages counted once."""
        main = psutil.Process(self.process.pid)
        return float(main.memory_full_info().pss) / 2**20

    def stop(self) -> None:
        """End the platform as Ctrl-C does."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()


@contextmanager
def stage(extra: Mapping[str, str] | None = None) -> Iterator[Stage]:
    """A fresh platform on free ports; its database is the embedded server with its usual durability."""
    with tempfile.TemporaryDirectory(prefix="saras-bench-", ignore_cleanup_errors=True) as folder:
        server = EmbeddedPostgres(Path(folder) / "postgres")
        running: Stage | None = None
        try:
            running = start(Path(folder) / "home", server.start(), extra or {})
            yield running
        finally:
            if running is not None:
                running.stop()
            server.stop()


@contextmanager
def private_rabbitmq() -> Iterator[str | None]:
    """The URL of a RabbitMQ node of our own, ``None`` where none is installed."""
    if PrivateRabbit.missing():
        yield None
        return
    node = PrivateRabbit()
    try:
        yield node.start()
    finally:
        node.stop()


def start(home: Path, database_url: str, extra: Mapping[str, str]) -> Stage:
    """`saras up` on ``home``; returns when it is ready to serve."""
    port, sandbox_port = free_port(), free_port()
    environment = {
        **os.environ,
        **GENEROUS,
        "SARAS_HOME": str(home),
        "SARAS_PORT": str(port),
        "SARAS_SANDBOX_PORT": str(sandbox_port),
        "SARAS_ADMIN_EMAIL": "bench@saras.example.com",
        "SARAS_ADMIN_PASSWORD": secrets.token_urlsafe(18),
        "DATABASE_URL": database_url,
        **extra,
    }
    home.mkdir(parents=True, exist_ok=True)
    log = (home / "bench.log").open("wb")
    process = subprocess.Popen([sys.executable, "-m", "saras", "up"], env=environment, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    wait_ready(url, process, home)
    return Stage(home, url, port, f"http://127.0.0.1:{sandbox_port}", database_url, environment, process)


def wait_ready(url: str, process: subprocess.Popen[bytes], home: Path) -> None:
    """Until /health/ready says so; the log's end when the process dies first."""
    deadline = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError((home / "bench.log").read_text()[-3000:])
        try:
            if Http(url, timeout_s=5).send("GET", "/health/ready").ok:
                return
        except NotReachable:
            pass
        time.sleep(0.02)
    raise TimeoutError("the platform did not become ready")
