"""Answers that go wrong on the wire itself: silence, a reset connection, half a body.

uvicorn hides the socket from the application, so the protocol class here hands the transport down in the scope.
"""

import asyncio
import socket
import struct

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kite_sandbox.edge.envelope import error_body, to_json

TRANSPORT = "kite_sandbox.transport"
LONGEST_SILENCE_S = 120.0


class KiteProtocol(HttpToolsProtocol):
    """HTTP/1.1 over httptools; answers unreadable requests in Kite's envelope too."""

    def on_message_begin(self) -> None:
        """Start a request, with its transport in the scope."""
        super().on_message_begin()
        self.scope["extensions"] = {TRANSPORT: {"transport": self.transport}}

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP."""
        body = to_json(error_body("InputException", msg))
        head = (
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()


class Hangup(Response):
    """No answer, or part of one: ``timeout`` (silence until the client goes), ``reset`` (RST) or ``truncated``."""

    def __init__(self, how: str, body: bytes = b"") -> None:
        super().__init__(status_code=200)
        self.how = how
        self.answer = body

    async def __call__(self, scope: Scope, receive: Receive, _send: Send) -> None:
        """Do it, and wait until the connection is gone so that nothing else is sent on it."""
        transport: asyncio.Transport = scope["extensions"][TRANSPORT]["transport"]
        gone = asyncio.ensure_future(_disconnected(receive))
        if self.how == "timeout":
            await asyncio.wait({gone}, timeout=LONGEST_SILENCE_S)
            transport.abort()
        elif self.how == "reset":
            sock: socket.socket = transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        else:
            head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(self.answer)}\r\n\r\n"
            transport.write(head.encode() + self.answer[: len(self.answer) // 2])
            transport.close()
        await gone


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
