"""`saras up`: everything in one process, started in order and ended in reverse."""

import contextlib
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from types import FrameType

import uvicorn
from rich.console import Console

from saras.client import Http, NotReachable
from saras.errors import CannotStart
from saras.fleet import PACKAGES
from saras.home import Credentials, Home, Running
from saras.live import confirm_live
from saras.logfile import keep_children_off_the_terminal, log_to
from saras.ports import require_free
from saras.progress import Progress
from saras.sandbox import SandboxProcess
from saras.schemas import prepare_database
from saras.settings import PlatformSettings
from saras_common.confidential import leave_no_core, plain_environment
from saras_common.postgres import EmbeddedPostgres, PostgresFailed

STALE_PORT_WAIT_S = 8.0
READY_TIMEOUT_S = 120.0
TURN_S = 0.0005
"""How long a thread computes before another that waits has its turn."""

ENDS_WITH = "Ctrl-C ends it."
"""Last line of what a start tells."""


def run_platform(
    settings: PlatformSettings, console: Console, *, demo_users: bool = False, is_licensed: bool = False
) -> int:
    """Start, serve until told to stop, end cleanly; the exit code."""
    confirm_live(settings, console, is_licensed=is_licensed)
    leave_no_core()
    _tune_interpreter()
    platform = _platform(settings, console)
    with platform.home.held(), _orderly_signals(), contextlib.suppress(_StopAsked), ExitStack() as stack:
        platform.home.claim_mode(settings.mode)
        log_to(platform.home.logs, settings.log_level)
        keep_children_off_the_terminal(platform.home.logs)
        platform.serve(stack, demo_users=demo_users)
    console.print("Stopped; nothing is lost, the next start goes on from here.")
    return 0


def _platform(settings: PlatformSettings, console: Console) -> "Platform":
    home, progress = Home(settings.home), Progress(console)
    if settings.layout == "one":
        return Platform(settings, home, progress)
    from saras.spread.platform import SpreadPlatform

    return SpreadPlatform(settings, home, progress)


def _tune_interpreter() -> None:
    """Suit it to many threads that wait for the database often and compute between.

    Cycles are looked for less often: a delivery or a batch makes tens of thousands of small objects that die together.
    Threads take turns more often: who comes back from the server waits for its turn behind every other thread that
    computes, several times a statement, and a broker order takes some fifty statements.
    """
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    sys.setswitchinterval(TURN_S)


@dataclass(frozen=True, slots=True)
class Platform:
    """The parts of one running platform."""

    settings: PlatformSettings
    home: Home
    progress: Progress

    def serve(self, stack: ExitStack, *, demo_users: bool) -> None:
        """Start every part, each registered on ``stack`` to be ended in reverse order, and serve until stopped."""
        admin, is_new_admin = self._admin()
        sandbox = self._sandbox() if self.settings.mode == "sandbox" else None
        self._check_ports(sandbox)
        with ThreadPoolExecutor(1, thread_name_prefix="start") as pool:
            database = pool.submit(self._start_database, stack)
            if sandbox is not None:
                stack.callback(sandbox.stop)
                sandbox.start()
            with self.progress.step("the services' code"):
                from saras import services
            with self.progress.step("PostgreSQL"):
                admin_url = database.result()
        with self.progress.step("the database's schemas"):
            passwords = self.home.vault().get(*(f"{role}_password" for role in services.ROLES))
            urls = prepare_database(
                admin_url, {role: passwords[f"{role}_password"] for role in services.ROLES}, PACKAGES
            )
        with self.progress.step("the services"):
            composed = services.compose(self.settings, self.home, urls, admin, self._broker())
            stack.callback(composed.threads.stop)
        if sandbox is not None:
            with self.progress.step("the sandbox broker"):
                sandbox.wait_ready()
        composed.threads.start()
        running = Running(os.getpid(), self.settings.url, self.settings.sandbox_url if sandbox else None)
        stack.enter_context(self.home.announced(running))
        herald = Herald(self.settings, self.progress, admin if is_new_admin else None, demo_users=demo_users)
        stack.callback(herald.stop)
        herald.start()
        self._run_server(composed.server_config)

    def _run_server(self, config: uvicorn.Config) -> None:
        server = uvicorn.Server(config)
        server.run()
        if not server.started:
            raise CannotStart(f"the gateway did not start; see {self.home.logs}/saras.log")

    def _admin(self) -> tuple[Credentials, bool]:
        """The administrator's login: from the environment, else kept, else made now (and shown once)."""
        kept = self.home.find_credentials()
        if self.settings.admin_password is not None:
            given = Credentials(self.settings.admin_email, self.settings.admin_password.get_secret_value())
            if given != kept:
                self.home.remember(given)
            return given, False
        if kept is not None:
            return kept, False
        made = Credentials(self.settings.admin_email, self.home.vault().get("admin_password")["admin_password"])
        self.home.remember(made)
        return made, True

    def _broker(self) -> dict[str, str]:
        """Where and as whom the executor reaches its broker."""
        if self.settings.mode == "live" and self.settings.kite_accounts is not None:
            accounts = self.settings.kite_accounts.get_secret_value()
            return {"kite_root": self.settings.kite_root, "kite_accounts": accounts}
        keys = self._sandbox_keys()
        account = f"main:{keys['sandbox_api_key']}:{keys['sandbox_api_secret']}"
        return {"kite_root": self.settings.sandbox_url, "kite_accounts": account}

    def _sandbox_keys(self) -> dict[str, str]:
        return self.home.vault().get("sandbox_api_key", "sandbox_api_secret")

    def _sandbox(self) -> SandboxProcess:
        keys = self._sandbox_keys()
        environment = {
            **plain_environment("SANDBOX_"),
            "SANDBOX_HOME": str(self.home.sandbox),
            "SANDBOX_PORT": str(self.settings.sandbox_port),
            "SANDBOX_ACCOUNTS": f"{keys['sandbox_api_key']}:{keys['sandbox_api_secret']}:ZS0001",
            "SANDBOX_POSTBACK_URL": f"{self.settings.url}/api/v1/broker/postback",
        }
        return SandboxProcess(self.home.sandbox, self.settings.sandbox_url, environment, self.home.logs / "sandbox.log")

    def _check_ports(self, sandbox: SandboxProcess | None) -> None:
        require_free(self.settings.host, self.settings.port, "SARAS_PORT", "the gateway", wait_s=self._patience_s())
        if sandbox is not None:
            sandbox.stop_stale()
            require_free(
                "127.0.0.1",
                self.settings.sandbox_port,
                "SARAS_SANDBOX_PORT",
                "the sandbox broker",
                wait_s=self._patience_s(),
            )

    def _patience_s(self) -> float:
        """A platform killed a moment ago may still be letting go of its ports."""
        return STALE_PORT_WAIT_S if (self.home.path / "running.json").exists() else 0.0

    def _start_database(self, stack: ExitStack) -> str:
        if self.settings.database_url is not None:
            return self.settings.database_url.get_secret_value()
        server = EmbeddedPostgres(self.home.postgres)
        stack.callback(server.stop)
        try:
            return server.start()
        except PostgresFailed as error:
            raise CannotStart(str(error)) from error


class Herald:
    """Waits beside the server until everything is ready, then tells the person at the terminal where it is."""

    def __init__(
        self, settings: PlatformSettings, progress: Progress, new_admin: Credentials | None, *, demo_users: bool
    ) -> None:
        self._settings = settings
        self._progress = progress
        self._new_admin = new_admin
        self._demo_users = demo_users
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._announce, name="herald", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Give up watching."""
        self._stop.set()
        self._thread.join(5)

    def _announce(self) -> None:
        with contextlib.suppress(CannotStart, _GivenUp):
            with self._progress.step("the platform to be ready"):
                self._wait()
            self._progress.say(f"[bold]Gateway[/]  {self._settings.url}   API documentation: {self._settings.url}/docs")
            if self._settings.mode == "sandbox":
                self._progress.say(f"[bold]Sandbox[/]  {self._settings.sandbox_url}")
            if self._new_admin is not None:
                self._progress.say(
                    f"[bold]Admin[/]    {self._new_admin.email}   password (shown once): {self._new_admin.password}"
                )
            else:
                self._progress.say(f"[bold]Admin[/]    {self._settings.admin_email}")
            if self._demo_users:
                self._make_demo_users()
            self._progress.say(ENDS_WITH)

    def _make_demo_users(self) -> None:
        from saras.demo_users import make_demo_users

        for line in make_demo_users(self._settings):
            self._progress.say(line)

    def _wait(self) -> None:
        deadline = time.monotonic() + READY_TIMEOUT_S
        state: object = "no answer"
        while not self._stop.wait(0.05):
            with Http(self._settings.url, timeout_s=5.0) as http, contextlib.suppress(NotReachable):
                answer = http.send("GET", "/health/ready")
                if answer.ok:
                    return
                state = answer.body
            if time.monotonic() > deadline:
                raise CannotStart(f"not ready after {READY_TIMEOUT_S:.0f} s: {state}")
        raise _GivenUp


class _StopAsked(BaseException):
    """SIGINT or SIGTERM arrived: unwind."""


class _GivenUp(Exception):
    """The server ended before it was ready."""


@contextlib.contextmanager
def _orderly_signals() -> Iterator[None]:
    """The first signal unwinds everything; a second Ctrl-C does not wait, for nothing depends on a clean end."""
    is_closing = False

    def handle(number: int, _frame: FrameType | None) -> None:
        nonlocal is_closing
        if not is_closing:
            is_closing = True
            raise _StopAsked
        if number == signal.SIGINT:
            os._exit(130)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
