"""The wire of WebSockets: uvicorn's protocol under the same guard as HTTP, without compression or loose talk in logs.

uvicorn logs the whole address of a handshake, lets a peer that does not read hold its buffers for ever, and answers a
bad handshake in plain text.
"""

import logging
import socket
import struct
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.datastructures import Headers
from websockets.http11 import MAX_LINE_LENGTH, Response
from websockets.server import ServerProtocol

from api_gateway.errors import HeadersTooLarge
from api_gateway.exchange import PROBLEM
from api_gateway.streams.errors import BadHandshake
from saras_common import jsonio
from saras_common.errors import SarasError, Unauthenticated, problem
from saras_common.ids import new_id

MOST_MESSAGE_BYTES = 64 * 1024
PING_EVERY_S, PONG_WITHIN_S = 20.0, 20.0
_CREDENTIALS = (b"authorization: ", b"sec-websocket-protocol: ")
_DROP = struct.pack("ii", 1, 0)
_log = logging.getLogger(__name__)
_log.setLevel(logging.WARNING)  # of handshakes the gateway's own access log tells, without their queries


class Handshake(ServerProtocol):
    """The library's, except that a refusal is a problem document and tokens among subprotocols are the door's."""

    def process_subprotocol(self, headers: Headers) -> None:  # noqa: ARG002 - the door reads them
        return None

    def reject(self, status: Any, text: str) -> Response:  # noqa: ARG002 - its words are not ours
        return _answer(HeadersTooLarge() if status == HeadersTooLarge.status else BadHandshake())


class GuardedWebSocket(WebSocketsSansIOProtocol):
    """`guarded_websocket` sets the guard on a subclass per server."""

    guard: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logger = _log
        self.conn = Handshake(max_size=MOST_MESSAGE_BYTES, logger=_log)

    def connection_lost(self, exc: Exception | None) -> None:
        self.guard.stalled.pop(self, None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self.conn.receive_data(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            self._turn_away(data)
        elif self.conn.parser_exc is not None:
            self.handle_parser_exception()
        else:
            self.handle_events()

    async def send(self, message: Any) -> None:
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body"):
            self.handshake_complete = True  # a refusal is one too

    def pause_writing(self) -> None:
        guard = self.guard
        guard.stalled[self] = self.loop.time() + guard.limits.take_timeout_s
        guard.watch(self.loop)
        super().pause_writing()

    def resume_writing(self) -> None:
        self.guard.stalled.pop(self, None)
        super().resume_writing()

    def reset(self) -> None:
        """End at once, whatever is still waiting to be read."""
        sock = self.transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _DROP)
        self.transport.abort()

    def _turn_away(self, head: bytes) -> None:
        """The library could not read the head: a header was too long for it, if only because no token is that long."""
        self.handshake_complete = self.close_sent = True
        if any(len(line) > MAX_LINE_LENGTH and line.startswith(_CREDENTIALS) for line in head.split(b"\r\n")):
            answer = _answer(Unauthenticated()).serialize()
        else:
            answer = b"".join(self.conn.data_to_send()) or _answer(BadHandshake()).serialize()
        self.transport.write(answer)
        self.transport.close()


def _answer(error: SarasError) -> Response:
    request_id = str(new_id())
    body = jsonio.dumps(problem(error, request_id))
    headers = Headers(
        {
            "Content-Type": PROBLEM.decode("ascii"),
            "Content-Length": str(len(body)),
            "X-Request-ID": request_id,
            "Connection": "close",
        }
    )
    return Response(error.status, error.title, headers, body)


def guarded_websocket(guard: Any) -> type[GuardedWebSocket]:
    """A protocol class under ``guard``, the one of the server's HTTP connections."""
    return type("ServerWebSocket", (GuardedWebSocket,), {"guard": guard})
