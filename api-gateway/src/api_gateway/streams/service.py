"""The streams as one part of the gateway: to its requests an upstream like any other, to WebSockets their end.

Being an upstream, `GET /events` passes every check of the door before it comes here, counts in its limits and stands
in its access log; its readiness and its OpenAPI are asked for as those of a service.
"""

import asyncio
from collections.abc import Callable, Mapping

from api_gateway.errors import MethodNotAllowed
from api_gateway.sessions import Sessions
from api_gateway.streams import openapi
from api_gateway.streams.door import WebSocketDoor
from api_gateway.streams.errors import UpgradeNeeded
from api_gateway.streams.feed import Feed
from api_gateway.streams.mailbox import Ending
from api_gateway.streams.mailboxes import Mailboxes
from api_gateway.streams.quotes import Quotes
from api_gateway.streams.settings import StreamLimits
from api_gateway.streams.sse import ServerSentEvents
from api_gateway.streams.tail import Tail
from api_gateway.streams.websocket import WebSockets
from api_gateway.telemetry import Telemetry
from api_gateway.upstreams import Answer, Receive, Scope, Send, Upstream
from saras_common import jsonio
from saras_common.auth import InternalTokens
from saras_common.clock import Clock
from saras_common.metrics import Metrics

STREAMS = "streams"
"""Its name among the upstreams."""

LEAVE = "leave"
"""Where the application's state has what ends all streams, for the server's own end."""


class Streams:
    """Everything live. ``events`` is notification-service, ``prices`` the executor where there is one."""

    def __init__(
        self,
        *,
        limits: StreamLimits,
        events: Upstream,
        prices: Upstream | None,
        sessions: Sessions,
        internal_tokens: InternalTokens,
        door: WebSocketDoor,
        telemetry: Telemetry,
        metrics: Metrics,
        clock: Clock,
        new_request_id: Callable[[], bytes],
    ) -> None:
        self._mailboxes = Mailboxes(limits, sessions.revocations, clock, metrics)
        self._tail = Tail(Feed(events, internal_tokens), self._mailboxes, clock)
        self._quotes = Quotes(prices, clock, limits.quotes_s)
        self._events = ServerSentEvents(self._mailboxes, self._tail)
        self._websockets = WebSockets(
            door, self._mailboxes, self._tail, self._quotes, telemetry, clock, new_request_id, limits.sign_in_s
        )
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        self._tasks = [asyncio.create_task(self._tail.run()), asyncio.create_task(self._quotes.run())]

    async def stop(self) -> None:
        self.leave()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_socket = scope["path"] == "/ws"
        if scope["method"] != "GET" and not (is_socket and scope["method"] == "HEAD"):
            raise MethodNotAllowed
        if is_socket:  # came as a plain request
            raise UpgradeNeeded
        await self._events.serve(scope["state"]["caller"], scope, receive, send)

    async def ask(self, path: str, headers: Mapping[str, str]) -> Answer:  # noqa: ARG002 - what every upstream is asked
        if path == "/openapi.json":
            return Answer(200, jsonio.dumps(openapi.document()))
        return Answer(200 if self._tail.is_good else 503, b"{}")

    async def websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI of a WebSocket."""
        await self._websockets.serve(scope, receive, send)

    def leave(self) -> None:
        """This process is about to end: let every client go on elsewhere."""
        self._mailboxes.end_all(Ending.CLOSING)

    async def sweep(self) -> None:
        """End what may no longer be; to be called a few times a second."""
        self._mailboxes.sweep()
