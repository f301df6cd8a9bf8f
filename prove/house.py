"""A whole platform in this process, at a real socket: every service, every loop, a PostgreSQL and a sandbox broker.

Campaigns knock at its gateway over HTTP like anybody, look into its database as the admin, and can plant bugs,
because the code that answers is the code of this process.
"""

import http.client
import json
import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psycopg
import uvicorn

from saras import services
from saras.fleet import PACKAGES
from saras.home import Credentials, Home
from saras.settings import PlatformSettings
from saras_common.auth import InternalTokens, SigningKey, service
from saras_common.clock import SystemClock
from saras_common.testing import PostgresForTests
from trade_executor.testing.sandbox import SandboxProcess
from user_service.app import wire
from user_service.settings import Settings as UserSettings

ADMIN = Credentials("admin@house.example.com", "correct-horse-7-battery")
PASSWORD = "seven quiet herons 41"  # noqa: S105 - of users of a database that lives for minutes
ENVIRONMENT = {
    **dict.fromkeys(("RATE_ADDRESS", "RATE_USER"), "1000000/second"),
    **dict.fromkeys(("RATE_LOGIN", "RATE_REGISTER", "RATE_REFRESH"), "1000000/minute"),
    **dict.fromkeys(("LOGIN_ACCOUNT_BURST", "LOGIN_ADDRESS_BURST", "LOGIN_GLOBAL_BURST"), "1000000"),
    "SARAS_WINDOW_S": "1",
    "STREAM_USER_LIMIT": "200",
    "PASSWORD_QUEUE": "200",
    "NOTIFY_ALLOW_LOOPBACK": "true",
}
"""Rates are another campaign's; here they would hide what is looked for."""

BASE = "/api/v1"
READY_S = 60.0
TOO_LATE = 408
WAIT_S = 30.0

Headers = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer; ``text`` is its body as it was written."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def body(self) -> Any:
        return json.loads(self.text) if self.text and "json" in self.headers.get("content-type", "") else None

    @property
    def plain(self) -> tuple[int, str]:
        """Status and body without what differs from request to request."""
        body = self.body
        if isinstance(body, dict):
            body.pop("request_id", None)
            return self.status, json.dumps(body, sort_keys=True)
        return self.status, self.text


class Line:
    """One keep-alive connection, for one thread. Headers are sent as given, twice when they stand twice."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._open: http.client.HTTPConnection | None = None

    def ask(self, method: str, path: str, headers: Headers = [], body: Any = None) -> Reply:  # noqa: B006 - read only
        """One request, and once more on a new connection when the server had closed the old one or waited too long."""
        payload = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        sent = [*headers, ("Content-Type", "application/json")] if payload is not None else headers
        for attempt in (1, 2):
            try:
                reply = self._ask(method, path, sent, payload)
            except (http.client.HTTPException, ConnectionError):
                self.close()
                if attempt == 2:
                    raise
            else:
                if reply.status != TOO_LATE or attempt == 2:
                    return reply
        raise AssertionError

    def _ask(self, method: str, path: str, headers: Headers, payload: bytes | None) -> Reply:
        connection = self._open
        if connection is None:
            connection = self._open = http.client.HTTPConnection("127.0.0.1", self._port, timeout=WAIT_S)
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        if payload is not None or method in {"POST", "PUT", "PATCH"}:
            connection.putheader("Content-Length", str(len(payload or b"")))
        connection.endheaders(payload)
        answer = connection.getresponse()
        names = {name.lower(): value for name, value in answer.getheaders()}
        if names.get("content-type", "").startswith("text/event-stream") or answer.status == 101:
            self.close()  # there is no end to wait for
            return Reply(answer.status, names, "")
        text = answer.read().decode("utf-8", "replace")
        if answer.will_close:
            self.close()
        return Reply(answer.status, names, text)

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    def __del__(self) -> None:
        """Many are asked once and forgotten."""
        self.close()


@dataclass
class Person:
    """Somebody signed in, with a connection of its own."""

    house: "House"
    id: str
    email: str
    token: str
    refresh_token: str = ""
    password: str = PASSWORD
    line: Line = field(init=False)

    def __post_init__(self) -> None:
        self.line = self.house.line()

    def ask(self, method: str, path: str, body: Any = None, headers: Headers = []) -> Reply:  # noqa: B006 - read only
        """A request under the base path with this person's token."""
        return self.line.ask(method, BASE + path, [("Authorization", f"Bearer {self.token}"), *headers], body)

    def do(self, method: str, path: str, body: Any = None, headers: Headers = []) -> Any:  # noqa: B006 - read only
        """The body of an answer that must be good."""
        reply = self.ask(method, path, body, headers)
        assert reply.status < 300, f"{method} {path}: {reply.status} {reply.text[:500]}"
        return reply.body


class House:
    """The running platform and the keys to all its doors."""

    def __init__(self, port: int, home: Home, sandbox: SandboxProcess, composed: services.Composed, db: Any) -> None:
        self.port = port
        self.home = home
        self.sandbox = sandbox
        self.database = db
        self.internal_key = home.vault().get("internal_token_key")["internal_token_key"].encode()
        self.internal = InternalTokens(self.internal_key, SystemClock())
        gateway = composed.server_config.app._gateway  # type: ignore[union-attr] # noqa: SLF001 - nobody else needs it
        upstreams = gateway._upstreams  # noqa: SLF001 - the same
        self.apps: dict[str, Any] = {name: up._app for name, up in upstreams.items() if hasattr(up, "_app")}  # noqa: SLF001
        self._count = 0

    def line(self) -> Line:
        """A new connection to the gateway."""
        return Line(self.port)

    def admin(self) -> Person:
        """The administrator, signed in anew."""
        return self._sign_in(ADMIN.email, ADMIN.password)

    def new_person(self, name: str = "Somebody", **more: str) -> Person:
        """Registered and signed in, over HTTP."""
        self._count += 1
        email = f"{name.lower().replace(' ', '.')}.{self._count}@house.example.com"
        body = {"email": email, "password": PASSWORD, "full_name": name, **more}
        made = self.line().ask("POST", f"{BASE}/register", body=body)
        assert made.status == 201, made
        return self._sign_in(email, PASSWORD)

    def people(self, count: int) -> list[Person]:
        """Many, seeded with a session each; without refresh tokens."""
        start, self._count = self._count + 1, self._count + count
        users = [{"email": f"seeded.{n}@house.example.com", "full_name": "S"} for n in range(start, start + count)]
        made = self.at_service("/internal/users", {"users": users, "password": PASSWORD})["items"]
        opened = self.at_service("/internal/sessions", {"user_ids": [user["id"] for user in made]})["items"]
        tokens = {session["user_id"]: session["access_token"] for session in opened}
        return [Person(self, user["id"], user["email"], tokens[user["id"]]) for user in made]

    def at_service(self, path: str, body: Any) -> Any:
        """One of user-service's calls for the platform's own processes."""
        token = self.internal.mint(service(time.time() + 60), "user-service")
        reply = self.line().ask("POST", path, [("X-Internal-Token", token)], body)
        assert reply.status == 201, reply
        return reply.body

    def session_of(self, person: Person) -> Person:
        """The same person on another device, without a sign-in."""
        opened = self.at_service("/internal/sessions", {"user_ids": [person.id]})["items"][0]
        return Person(self, person.id, person.email, opened["access_token"])

    def signing_key(self) -> SigningKey:
        """The platform's own: what only a flaw of ours could sign with."""
        settings = UserSettings(
            database_url=self.database.urls["user_service"],
            broker_url=self.database.bus_url,
            internal_token_key=self.internal_key.decode(),
            data_keys=self.home.vault().get_key("data_key"),
        )
        wiring = wire(settings, clock=SystemClock())
        try:
            return wiring.key_ring.current()
        finally:
            wiring.close()

    def openapi(self) -> dict[str, Any]:
        """The merged document, as published."""
        document: dict[str, Any] = self.line().ask("GET", f"{BASE}/openapi.json").body
        return document

    def look(self) -> psycopg.Connection[Any]:
        """The database as its admin sees it."""
        return psycopg.connect(self.database.admin_url, autocommit=True)

    def run_window(self, admin: Person) -> None:
        """The manual trigger."""
        admin.do("POST", "/admin/execution/run")

    def _sign_in(self, email: str, password: str) -> Person:
        pair = self.line().ask("POST", f"{BASE}/login", body={"email": email, "password": password})
        assert pair.status == 200, pair
        person = Person(self, "", email, pair.body["access_token"], pair.body["refresh_token"], password)
        person.id = person.do("GET", "/me")["id"]
        return person


@contextmanager
def house(on: PostgresForTests) -> Iterator[House]:
    """A platform on a database of its own, ready, with instruments and prices."""
    with tempfile.TemporaryDirectory(prefix="saras-house-") as folder, ExitStack() as stack:
        home = Home(Path(folder) / "home")
        home.logs.mkdir(parents=True)
        database = on.database_for(*PACKAGES)
        sandbox = SandboxProcess(Path(folder) / "sandbox", SANDBOX_PRICES="fixed", SANDBOX_PORT="0")
        stack.callback(sandbox.stop)
        port = _free_port()
        with patch.dict(os.environ, {**ENVIRONMENT, "SARAS_MODE": "sandbox"}):
            settings = PlatformSettings(home=home.path, port=port)
            broker = {"kite_root": sandbox.url, "kite_accounts": "main:sandbox:sandbox-secret"}
            composed = services.compose(settings, home, database.urls, ADMIN, broker)
        stack.callback(composed.threads.stop)
        composed.threads.start()
        server = uvicorn.Server(composed.server_config)
        thread = threading.Thread(target=server.run, name="gateway", daemon=True)
        thread.start()
        stack.callback(_end, server, thread)
        made = House(port, home, sandbox, composed, database)
        until(lambda: _is_ready(made), "the house is ready", READY_S)
        yield made


def _end(server: uvicorn.Server, thread: threading.Thread) -> None:
    server.should_exit = True
    thread.join(20)


def _is_ready(made: House) -> bool:
    try:
        return made.line().ask("GET", "/health/ready").status == 200
    except ConnectionError:
        return False


def _free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port


def until(is_so: Callable[[], Any], what: str, most_s: float = WAIT_S) -> Any:
    """Wait for something that must come."""
    deadline = time.monotonic() + most_s
    while not (found := is_so()):
        assert time.monotonic() < deadline, f"never came: {what}"
        time.sleep(0.05)
    return found


def rows_of(database: psycopg.Connection[Any], tables: Iterable[tuple[str, str]], owner: str) -> dict[str, list[str]]:
    """Every row of ``owner`` as JSON, by table; ``tables`` are pairs of a table and its column that names the owner."""
    found = {}
    for table, column in tables:
        query = f"SELECT to_jsonb(t)::text FROM {table} t WHERE {column} = %s ORDER BY 1"
        found[table] = [row[0] for row in database.execute(query.encode(), [owner])]
    return found
