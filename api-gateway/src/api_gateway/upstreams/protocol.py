"""What the gateway asks of a service's address."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from saras_common.errors import TooLarge

_OK = 200

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer to one of the gateway's own questions."""

    status: int
    body: bytes

    def json(self) -> Any:
        """The body of a 200 read as JSON; ``ValueError`` for anything else."""
        if self.status != _OK:
            raise ValueError(f"answered {self.status}")
        return orjson.loads(self.body)


class Upstream(Protocol):
    """One service. Calls raise `Unavailable` when nothing was sent, `UpstreamBroken` when the outcome is unknown."""

    async def start(self) -> None:
        """Make ready to serve; called once, before the first request."""

    async def stop(self) -> None:
        """Let go of everything."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on. ``scope`` has the service's own path and only headers the gateway allows."""

    async def ask(self, path: str, headers: Mapping[str, str]) -> Answer:
        """GET ``path`` for the gateway itself; ``path`` may carry a query."""


class ClientGone(Exception):
    """The client left before its request was whole; there is nobody to answer."""


async def whole_body(receive: Receive, max_bytes: int | None = None) -> bytes:
    """The request's body; `TooLarge` as soon as it exceeds ``max_bytes``, `ClientGone` when it never ends."""
    message = await receive()
    parts = []
    size = 0
    while message["type"] == "http.request":
        part: bytes = message.get("body", b"")
        size += len(part)
        if max_bytes is not None and size > max_bytes:
            raise TooLarge
        parts.append(part)
        if not message.get("more_body"):
            return part if len(parts) == 1 else b"".join(parts)
        message = await receive()
    raise ClientGone


def whole(body: bytes, receive: Receive) -> Receive:
    """A ``receive`` that gives ``body`` at once, then whatever ``receive`` gives."""
    pending = [body]

    async def replay() -> Message:
        if pending:
            return {"type": "http.request", "body": pending.pop(), "more_body": False}
        return await receive()

    return replay
