"""A small keep-alive HTTP client for the platform's public API and the sandbox's routes.

What the commands, the demo and the tests talk through. One instance is one connection: one thread.
"""

import http.client
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

from saras.errors import CommandFailed

BASE_PATH = "/api/v1"


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers (lower-case names) and the decoded JSON body (``None`` when it is not JSON)."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def ok(self) -> bool:
        """2xx."""
        return 200 <= self.status < 300  # noqa: PLR2004 - HTTP

    @property
    def code(self) -> str:
        """The problem's stable code, empty when there is none."""
        return str(self.body.get("code", "")) if isinstance(self.body, dict) else ""

    def describe(self) -> str:
        """Status and the problem's words, for people."""
        detail = self.body.get("detail", "") if isinstance(self.body, dict) else ""
        return f"{self.status} {self.code} {detail}".strip()


class NotReachable(CommandFailed):
    """Nobody answers at that address."""


class Http:
    """JSON over one connection to ``url``."""

    def __init__(self, url: str, *, timeout_s: float = 30.0) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or parts.hostname is None:
            raise CommandFailed(f"{url} is not an http:// address")
        self.url = url
        self._connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=timeout_s)
        self._used = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _e: BaseException | None, _tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()

    def send(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        """One request. A connection the server closed while idle is opened again once; `NotReachable` otherwise."""
        payload = None if body is None else json.dumps(body)
        wanted = {"Accept": "application/json", **(headers or {})}
        if payload is not None:
            wanted["Content-Type"] = "application/json"
        try:
            return self._exchange(method, path, payload, wanted)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError) as error:
            stale, self._used = self._used, False
            self._connection.close()
            if not stale or not (method == "GET" or "Idempotency-Key" in wanted):
                raise NotReachable(f"{self.url} closed the connection") from error
            return self.send(method, path, body, headers)
        except (OSError, http.client.HTTPException) as error:
            self._used = False
            self._connection.close()
            raise NotReachable(f"{self.url} does not answer ({type(error).__name__})") from error

    def _exchange(self, method: str, path: str, payload: str | None, headers: Mapping[str, str]) -> Answer:
        self._connection.request(method, path, payload, dict(headers))
        response = self._connection.getresponse()
        raw = response.read()
        self._used = True
        names = {name.lower(): value for name, value in response.getheaders()}
        body = json.loads(raw) if raw and "json" in names.get("content-type", "") else None
        return Answer(response.status, names, body)


class Api:
    """The gateway's API as one user (or nobody, before `login`)."""

    def __init__(self, url: str, *, token: str | None = None, timeout_s: float = 30.0) -> None:
        self._http = Http(url, timeout_s=timeout_s)
        self.token = token

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _e: BaseException | None, _tb: TracebackType | None) -> None:
        self._http.close()

    def close(self) -> None:
        """Give the connection back."""
        self._http.close()

    def login(self, email: str, password: str) -> None:
        """Sign in; `CommandFailed` when refused."""
        answer = self.call("POST", "/login", {"email": email, "password": password})
        if not answer.ok:
            raise CommandFailed(f"the platform refused the login of {email}: {answer.describe()}")
        self.token = answer.body["access_token"]

    def call(self, method: str, path: str, body: Any = None, *, key: str | None = None) -> Answer:
        """One request under the base path, whatever the answer; ``key`` is its Idempotency-Key."""
        headers = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        if key is not None:
            headers["Idempotency-Key"] = key
        return self._http.send(method, BASE_PATH + path, body, headers)

    def get(self, path: str, **query: str | int) -> Any:
        """The body of a GET; `CommandFailed` when the answer is not 2xx."""
        return self._body("GET", f"{path}?{urlencode(query)}" if query else path, None)

    def post(self, path: str, body: Any = None, *, key: str | None = None) -> Any:
        """The body of a POST; `CommandFailed` when the answer is not 2xx. 429 is waited out as Retry-After says."""
        return self._body("POST", path, body, key=key)

    def delete(self, path: str) -> Any:
        """The body of a DELETE; `CommandFailed` when the answer is not 2xx."""
        return self._body("DELETE", path, None)

    def pages(self, path: str, **query: str | int) -> Iterator[Any]:
        """Every item of a list, page after page."""
        cursor: dict[str, str] = {}
        while True:
            page = self.get(path, limit=500, **query, **cursor)
            yield from page["items"]
            if page["next_cursor"] is None:
                return
            cursor = {"cursor": page["next_cursor"]}

    def _body(self, method: str, path: str, body: Any, *, key: str | None = None) -> Any:
        for _ in range(20):
            answer = self.call(method, path, body, key=key)
            if answer.status != 429:  # noqa: PLR2004 - HTTP
                break
            time.sleep(min(float(answer.headers.get("retry-after", "1")), 5.0))
        if not answer.ok:
            raise CommandFailed(f"{method} {path.partition('?')[0]}: {answer.describe()}")
        return answer.body


class Sandbox:
    """The sandbox broker's own routes; a connection a call, for the sandbox comes and goes in tests."""

    def __init__(self, url: str) -> None:
        self._url = url

    def fault(self, route: str, kind: str, count: int = 1, after: int = 0) -> None:
        """Let the next ``count`` calls of ``route`` (after ``after`` untouched ones) go wrong."""
        self._ask("POST", "faults", {"route": route, "kind": kind, "count": count, "after": after})

    def clear_faults(self) -> None:
        """Forget the faults that were not met."""
        self._ask("DELETE", "faults")

    def prices(self, prices: Mapping[str, str]) -> None:
        """Set last prices, in rupees."""
        self._ask("POST", "prices", dict(prices))

    def calls(self, route: str) -> list[dict[str, Any]]:
        """Calls of one Kite route, oldest first; status 0 is a call left without an answer."""
        return [item for item in self._ask("GET", "log")["items"] if item["route"] == route]

    def journal(self, *, after: int = 0) -> list[dict[str, Any]]:
        """Everything that ever happened at the broker, in order, without the first ``after`` items."""
        items: list[dict[str, Any]] = self._ask("GET", f"journal?after={after}")["items"]
        return items

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        with Http(self._url) as http:
            answer = http.send(method, f"/sandbox/{path}", body)
        if not answer.ok:
            raise CommandFailed(f"the sandbox refused /sandbox/{path}: {answer.status} {answer.body}")
        return answer.body
