"""The unmodified SDK with its one request method replaced: what happened on the wire decides what an answer means."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urljoin

import requests
from kiteconnect import KiteConnect
from requests.adapters import HTTPAdapter

from trade_executor.broker import (
    Answer,
    Because,
    Guard,
    NotAllowed,
    Outcome,
)

OK, BAD_REQUEST, FORBIDDEN, TOO_MANY = 200, 400, 403, 429
DEFINITE_NO = frozenset({400, 403, 404, 405, 429})
"""Statuses that say nothing was placed, unless the text of a 400 says the broker does not know itself."""

_UNSURE = re.compile(r"timed? ?out|order ?book", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Login:
    """Where an account is reached. ``timeouts_s`` are (connect, read)."""

    root: str
    api_key: str
    timeouts_s: tuple[float, float] = (1.0, 2.5)


@dataclass(slots=True)
class Reply:
    """What came back from one request, or how it failed. ``sent`` is false when no byte of it can have left."""

    status: int | None = None
    body: Any = None
    failure: str | None = None
    sent: bool = True
    message: str = ""
    error_type: str | None = None


class WireError(Exception):
    """A request that did not end in 200 with data, carrying the `Reply`."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.message or reply.failure or f"status {reply.status}")
        self.reply = reply


class _GuardedAdapter(HTTPAdapter):
    """Asks the guard once more right before the request goes to its socket."""

    guard: Guard | None = None

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        if self.guard is not None:
            self.guard()
        return super().send(request, *args, **kwargs)


class WireKite(KiteConnect):  # type: ignore[misc] # the SDK is published without types
    """The SDK, its requests classified. Redirects are not followed; numbers arrive as exact decimals."""

    def __init__(self, login: Login, access_token: str | None = None) -> None:
        super().__init__(
            api_key=login.api_key, access_token=access_token, root=login.root, timeout=login.timeouts_s, debug=False
        )
        self._adapter = _GuardedAdapter(pool_connections=1, pool_maxsize=1, max_retries=0)
        self.reqsession.mount("http://", self._adapter)
        self.reqsession.mount("https://", self._adapter)
        self.reqsession.trust_env = False

    def __repr__(self) -> str:
        return f"WireKite({self.root})"

    def guarded(self, guard: Guard | None) -> None:
        """The guard of the requests that follow."""
        self._adapter.guard = guard

    def _request(
        self,
        route: str,
        method: str,
        url_args: Mapping[str, Any] | None = None,
        params: Any = None,
        is_json: bool = False,
        query_params: Any = None,
    ) -> Any:
        """In place of the SDK's: same request, `WireError` for anything but 200 with data."""
        url = urljoin(self.root, self._routes[route].format(**(url_args or {})))
        headers = {"X-Kite-Version": self.kite_header_version, "User-Agent": self._user_agent()}
        if self.access_token:
            headers["Authorization"] = f"token {self.api_key}:{self.access_token}"
        changes = method in {"POST", "PUT"}
        reply = self._exchange(
            method,
            url,
            json=params if changes and is_json else None,
            data=params if changes and not is_json else None,
            params=query_params if changes else params,
            headers=headers,
        )
        if reply.status != OK or reply.failure is not None:
            raise WireError(reply)
        return reply.body

    def _exchange(self, method: str, url: str, **request: Any) -> Reply:
        try:
            response = self.reqsession.request(
                method, url, allow_redirects=False, timeout=self.timeout, verify=not self.disable_ssl, **request
            )
        except NotAllowed:
            raise
        except requests.RequestException as error:
            return Reply(failure=type(error).__name__, sent=not _never_left(error))
        return _read(response)


def _never_left(error: requests.RequestException) -> bool:
    """No connection was made, so nothing was sent: name, connect or TLS failure, or a URL that is none."""
    if isinstance(error, requests.ConnectTimeout | requests.exceptions.InvalidURL):
        return True
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    if isinstance(error, requests.exceptions.SSLError):  # only a refused certificate is surely before the request
        return "CERTIFICATE_VERIFY_FAILED" in str(reason)
    return type(reason).__name__ in {"NewConnectionError", "NameResolutionError", "ConnectTimeoutError"}


def _read(response: requests.Response) -> Reply:
    reply = Reply(status=response.status_code)
    kind = response.headers.get("content-type", "")
    if "csv" in kind:
        reply.body = response.content
        return reply
    try:
        document = json.loads(response.content.decode(), parse_float=Decimal)
    except (ValueError, RecursionError):
        reply.failure = "the answer is not JSON"
        return reply
    if not isinstance(document, dict):
        reply.failure = "the answer is not an object"
        return reply
    reply.message = str(document.get("message") or "")[:300]
    reply.error_type = document.get("error_type")
    if document.get("status") == "error" or reply.error_type:
        reply.failure = reply.error_type or "error"
    elif "data" not in document:
        reply.failure = "the answer has no data"
    else:
        reply.body = document["data"]
    return reply


def classify(reply: Reply) -> Answer:
    """What a failed changing call means, by what happened on the wire."""
    if not reply.sent:
        return Answer(Outcome.NOT_SENT, message=reply.failure or "")
    if reply.status == TOO_MANY:
        return Answer(Outcome.NO, because=Because.TOO_MANY, message=reply.message)
    unsure = reply.status == BAD_REQUEST and _UNSURE.search(reply.message)
    if reply.status not in DEFINITE_NO or unsure or reply.error_type is None:
        return Answer(Outcome.UNKNOWN, message=reply.message or reply.failure or f"status {reply.status}")
    return Answer(Outcome.NO, because=because_of(reply), message=reply.message)


def because_of(reply: Reply) -> Because:
    """Why the broker said no."""
    if reply.status == TOO_MANY:
        return Because.TOO_MANY
    if reply.status == FORBIDDEN and reply.error_type == "TokenException":
        return Because.LOGIN_NEEDED
    return Because.REFUSED
