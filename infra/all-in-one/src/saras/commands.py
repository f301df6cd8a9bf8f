"""The administrator's commands against a running platform: each signs in, calls the public API and shows the answer."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from saras.client import Api, Http, NotReachable
from saras.errors import CommandFailed
from saras.home import Home
from saras.settings import PlatformSettings
from saras.spread.roll import read_roll, state_of
from saras.tables import batch_table, execution_tables, plain_table, reconciliation_tables

ENDED = "DONE"
"""State of a batch all of whose blocks have ended."""
POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class Commands:
    """The commands; each answers the process's exit code."""

    settings: PlatformSettings
    console: Console

    def status(self) -> int:
        """Health of every dependency and the executor's state; 1 when something is not ready."""
        with self._admin() as api:
            with Http(self._url()) as http:
                health = http.send("GET", "/health/ready")
            rows = sorted((health.body or {}).get("dependencies", {}).items())
            self.console.print(plain_table(f"{self._url()}: {health.body['status']}", ("dependency", "state"), rows))
            self._print_processes()
            for table in execution_tables(api.get("/admin/execution")):
                self.console.print(table)
        return 0 if health.ok else 1

    def _print_processes(self) -> None:
        """Of a spread-out platform, each process."""
        roll = read_roll(Home(self.settings.home).roll)
        if roll:
            rows = [
                (entry.name, state_of(entry), entry.pid, entry.restarts, entry.port or "", entry.log) for entry in roll
            ]
            columns = ("process", "state", "pid", "restarts", "port", "log")
            self.console.print(plain_table("Processes", columns, rows))

    def trigger(self, *, wait_s: float) -> int:
        """Close the open window now, wait for the batch to end and show it."""
        with self._admin() as api:
            batch_id = api.post("/admin/execution/run")["batch_id"]
            if batch_id is None:
                self.console.print("The window was empty: nothing was sent.")
                return 0
            batch = wait_for(
                lambda: api.get(f"/admin/batches/{batch_id}"), lambda found: found["status"] == ENDED, wait_s
            )
            self.console.print(batch_table(batch))
        return 0

    def halt(self, reason: str) -> int:
        """Throw the kill switch."""
        with self._admin() as api:
            api.post("/admin/execution/halt", {"reason": reason})
        self.console.print("Halted: no new order leaves; cancels still do. `saras resume` ends it.")
        return 0

    def resume(self) -> int:
        """Take the kill switch back."""
        with self._admin() as api:
            api.post("/admin/execution/resume")
        self.console.print("Resumed.")
        return 0

    def reconcile(self) -> int:
        """Compare the book with the broker now; 1 when they differ."""
        with self._admin() as api:
            report = reconcile(api)
        for table in reconciliation_tables(report):
            self.console.print(table)
        return 0 if report["balanced"] else 1

    def verify(self, batch_id: str) -> int:
        """Recompute every block of a batch from its certificate; 1 when one does not come out the same."""
        from saras.verify import verify_batch  # imports the executor; the other commands need not wait for that

        with self._admin() as api:
            verdicts = verify_batch(*fetch_batch(api, batch_id))
        rows = [(v.instrument, v.block_id, v.orders, v.allocated, v.why or "ok") for v in verdicts]
        columns = ("instrument", "block", "orders", "allocated", "verdict")
        self.console.print(plain_table(f"Batch {batch_id}, recomputed from its certificates", columns, rows))
        return 0 if verdicts and all(verdict.ok for verdict in verdicts) else 1

    def verify_evidence(self) -> int:
        """Compare audit log and certificates with their seals and with what the witness saw; 1 when they differ."""
        from saras.witnessing import verify_evidence  # as above

        wrong = verify_evidence(self.settings)
        for what in wrong:
            self.console.print(what, markup=False, highlight=False)
        self.console.print(f"{len(wrong)} contradictions." if wrong else "Every row is as it was when it was written.")
        return 1 if wrong else 0

    @contextmanager
    def _admin(self) -> Iterator[Api]:
        credentials = Home(self.settings.home).find_credentials()
        password = self.settings.admin_password.get_secret_value() if self.settings.admin_password else None
        email = self.settings.admin_email
        if password is None and credentials is not None:
            email, password = credentials.email, credentials.password
        if password is None:
            raise CommandFailed(
                f"no administrator's login is known: none is kept in {self.settings.home}; "
                "set SARAS_ADMIN_EMAIL and SARAS_ADMIN_PASSWORD, or SARAS_HOME to the platform's home"
            )
        with Api(self._url()) as api:
            try:
                api.login(email, password)
            except NotReachable as error:
                raise CommandFailed(f"the platform is not running: {error}. Start it with `saras up`") from error
            yield api

    def _url(self) -> str:
        running = Home(self.settings.home).find_running()
        return self.settings.url if running is None else running.url


def wait_for(ask: Callable[[], Any], is_done: Callable[[Any], bool], wait_s: float) -> Any:
    """Ask until the answer will do or the time is up; the last answer."""
    deadline = time.monotonic() + wait_s
    while True:
        answer = ask()
        if is_done(answer) or time.monotonic() > deadline:
            return answer
        time.sleep(POLL_S)


def fetch_batch(api: Api, batch_id: str) -> tuple[Any, list[Any]]:
    """A batch and the certificates of its blocks."""
    return api.get(f"/admin/batches/{batch_id}"), api.get(f"/admin/batches/{batch_id}/certificate")["certificates"]


def reconcile(api: Api, *, wait_s: float = 30.0) -> Any:
    """Start a reconciliation and answer its report; `CommandFailed` when it does not come."""
    before = api.call("GET", "/admin/reconciliation")
    last = before.body.get("at") if before.ok else None
    started = api.post("/admin/reconciliation/run")
    if isinstance(started, dict) and "balanced" in started:
        return started
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        answer = api.call("GET", "/admin/reconciliation")
        if answer.ok and answer.body["at"] != last:
            return answer.body
        time.sleep(POLL_S)
    raise CommandFailed(f"the reconciliation gave no result within {wait_s:.0f} s")
