"""notification-service's feed as the gateway asks for it, and a row of it as clients see it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from api_gateway.upstreams import Upstream
from saras_common import jsonio
from saras_common.auth import InternalTokens, service
from saras_common.errors import InvalidInput
from saras_common.schemas import decode_cursor, encode_cursor

FEED_SERVICE = "notification-service"
RESET = "stream.reset"
"""Kind of the one event that is not in the feed: rows after the client's last id are no longer known, read afresh."""

LARGEST = 2**63 - 1
_TAIL_ROWS = 2000
_BACKLOG_ROWS = 500
_WAIT_S = 1
_NEVER = 2.0**40


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of one user. ``position`` orders all of them; ``user`` is the owner's id."""

    position: int
    user: str
    kind: str
    at: str
    data: Any

    def document(self) -> dict[str, Any]:
        """What a client is shown."""
        return {"id": event_id(self.position), "kind": self.kind, "at": self.at, "data": self.data}


@dataclass(frozen=True, slots=True)
class Rows:
    """Part of the feed: what stands between two positions, the newest one, and the last one already forgotten."""

    head: int
    floor: int
    entries: list[Entry]
    is_last: bool


class Feed:
    """Asks as the gateway itself; errors are those of an `Upstream`, ``ValueError`` and ``KeyError``."""

    def __init__(self, upstream: Upstream, tokens: InternalTokens) -> None:
        self._upstream = upstream
        self._tokens = tokens
        self._identity = service(_NEVER)

    async def head(self) -> int:
        """The position of the newest row."""
        return (await self._ask("/internal/feed", 0)).head

    async def after(self, position: int) -> Rows:
        """Rows of all users after ``position``, as soon as there are any, at the latest after a second."""
        path = f"/internal/feed?after={position}&wait_s={_WAIT_S}&limit={_TAIL_ROWS}"
        return await self._ask(path, _TAIL_ROWS)

    async def of_user(self, user: str, after: int, until: int) -> Rows:
        """A user's rows after ``after`` up to ``until``, the first part of them."""
        path = f"/internal/feed/{user}?after={after}&until={until}&limit={_BACKLOG_ROWS}"
        return await self._ask(path, _BACKLOG_ROWS)

    async def _ask(self, path: str, limit: int) -> Rows:
        headers = {"x-internal-token": self._tokens.mint(self._identity, FEED_SERVICE)}
        document = (await self._upstream.ask(path, headers)).json()
        entries = [Entry(*item) for item in document["items"]]
        return Rows(document["head"], document["floor"], entries, len(entries) < limit)


def event_id(position: int) -> str:
    """The opaque id of the event at ``position``."""
    return encode_cursor(position)


def position_of(last_event_id: str | None) -> int | None:
    """The position in a ``Last-Event-ID``; `InvalidInput` when we never gave such an id."""
    try:
        found = decode_cursor(last_event_id, int)
    except InvalidInput:
        found = (-1,)
    if found is None:
        return None
    position: int = found[0]
    if not 0 <= position <= LARGEST or event_id(position) != last_event_id:
        message = "not an id of this stream"
        raise InvalidInput("The last event's id is not valid", errors=[{"field": "last_event_id", "message": message}])
    return position


def sse_frame(entry: Entry) -> bytes:
    """An event of an SSE stream."""
    document = entry.document()
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (
        document["id"].encode("ascii"),
        entry.kind.encode("ascii"),
        jsonio.dumps(document),
    )


def sse_mark(position: int) -> bytes:
    """An id without an event: from here a client may resume, though nothing has happened yet."""
    return b"id: %b\n\n" % event_id(position).encode("ascii")


def message_frame(entry: Entry) -> bytes:
    """An event as a WebSocket message."""
    return message("event", entry.document())


def message(kind: str, content: Mapping[str, Any]) -> bytes:
    """A WebSocket message of ours."""
    return jsonio.dumps({"type": kind, **content})
