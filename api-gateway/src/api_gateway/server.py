"""The sockets: uvicorn with httptools, and what it lacks at an open door.

uvicorn waits for a request's head for ever, takes headers of any size and lets a client that does not read hold its
buffers. `GuardedProtocol` gives every phase of a connection a deadline. Nothing is timed per request: a connection is
noted in an ordered dict when a phase begins and taken out when it ends, and one sweep a second looks at the front.
"""

import asyncio
import importlib.util
import resource
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api_gateway.errors import BadRequest, HeadersTooLarge, RequestTimeout
from api_gateway.exchange import API_POLICY, PROBLEM
from api_gateway.settings import GatewaySettings
from api_gateway.streams.service import LEAVE
from api_gateway.streams.sockets import MOST_MESSAGE_BYTES, PING_EVERY_S, PONG_WITHIN_S, guarded_websocket
from api_gateway.streams.websocket import PATH as WEBSOCKET_PATH
from saras_common import jsonio
from saras_common.errors import SarasError, problem
from saras_common.ids import new_id
from saras_common.metrics import Metrics

_SPARE_FILES = 512
_DROP = struct.pack("ii", 1, 0)
_GRACEFUL_S = 10
_WEBSOCKET_PATH = WEBSOCKET_PATH.encode("ascii")
_SWEEPS_A_TIMEOUT = 4
_LONGEST_SWEEP_S = 1.0


@dataclass(frozen=True, slots=True)
class SocketLimits:
    """``connections`` at once; bytes of a request's head; seconds for its head, its body, and for taking the answer."""

    connections: int
    head_bytes: int
    head_timeout_s: float
    body_timeout_s: float
    take_timeout_s: float


class Guard:
    """The connections of one server by what they are waiting for, oldest first."""

    def __init__(self, limits: SocketLimits, closed: Callable[[str], None]) -> None:
        self.limits = limits
        self.closed = closed
        self.heads: dict[GuardedProtocol, float] = {}
        self.bodies: dict[GuardedProtocol, float] = {}
        self.stalled: dict[GuardedProtocol, float] = {}
        self.idle: dict[GuardedProtocol, None] = {}
        shortest_s = min(limits.head_timeout_s, limits.body_timeout_s, limits.take_timeout_s)
        self._every_s = min(_LONGEST_SWEEP_S, shortest_s / _SWEEPS_A_TIMEOUT)
        self._sweeping = False

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """See to it that sweeps happen while there is something to sweep."""
        if not self._sweeping:
            self._sweeping = True
            loop.call_later(self._every_s, self._sweep, loop)

    def make_room(self) -> bool:
        """Close the connection that has been of least use for longest; false when all are at work."""
        for waiting in (self.heads, self.idle):
            for oldest in waiting:
                self.closed("crowded_out")
                oldest.reset()
                oldest.forget()
                return True
        return False

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for waiting, reason in ((self.heads, "head_timeout"), (self.bodies, "body_timeout")):
            for late in _expired(waiting, now):
                self.closed(reason)
                late.time_out()
        for late in _expired(self.stalled, now):
            self.closed("answer_not_taken")
            late.reset()
        self._sweeping = False
        if self.heads or self.bodies or self.stalled:
            self.watch(loop)


def _expired(waiting: "dict[GuardedProtocol, float]", now: float) -> "list[GuardedProtocol]":
    late = []
    for protocol, deadline in waiting.items():
        if deadline > now:
            break
        late.append(protocol)
    for protocol in late:
        del waiting[protocol]
    return late


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol under a `Guard`, which `guarded` sets on a subclass per server."""

    guard: Guard

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._head_bytes = 0
        guard = self.guard
        if len(self.connections) > guard.limits.connections and not guard.make_room():
            guard.closed("full")
            self.reset()
            return
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self.forget()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        guard = self.guard
        guard.idle.pop(self, None)
        self._head_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError as error:
            cause = error.__context__
            self._refuse(cause if isinstance(cause, SarasError) else BadRequest())
            return
        except httptools.HttpParserUpgrade:
            if self._should_upgrade():
                self.forget()
                self.handle_websocket_upgrade()
                return
            if self.cycle is not None:
                self.cycle.keep_alive = False  # what follows is no longer HTTP to the parser
        if self in guard.heads:
            if self._head_bytes > guard.limits.head_bytes:
                self._refuse(HeadersTooLarge())
        elif self.cycle is None or (self.cycle.response_complete and self not in guard.bodies):
            self._expect_head()  # bytes that began no request, such as blank lines

    def shutdown(self) -> None:
        leave = self.app_state.get(LEAVE)
        if leave is not None:
            leave()
        super().shutdown()

    def _should_upgrade_to_ws(self) -> bool:
        path = self.url.partition(b"?")[0]
        return path == _WEBSOCKET_PATH and super()._should_upgrade_to_ws()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self not in self.guard.heads:
            self._expect_head()

    def on_headers_complete(self) -> None:
        guard = self.guard
        guard.heads.pop(self, None)
        if self._head_bytes > guard.limits.head_bytes:
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > guard.limits.head_bytes:
                raise HeadersTooLarge
        guard.bodies[self] = self.loop.time() + guard.limits.body_timeout_s
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self.guard.bodies.pop(self, None)
        self._head_bytes = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.timeout_keep_alive_task is not None:
            self.guard.idle[self] = None

    def pause_writing(self) -> None:
        guard = self.guard
        guard.stalled[self] = self.loop.time() + guard.limits.take_timeout_s
        guard.watch(self.loop)
        super().pause_writing()

    def resume_writing(self) -> None:
        self.guard.stalled.pop(self, None)
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        self._refuse(BadRequest(msg))

    def time_out(self) -> None:
        """The phase took too long: say so if no answer is on its way, and close."""
        self._refuse(RequestTimeout())

    def reset(self) -> None:
        """End at once: what is still in the kernel's buffers is dropped too, or a slow reader could keep it there."""
        sock = self.transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _DROP)
        self.transport.abort()

    def forget(self) -> None:
        """The guard no longer watches this connection."""
        guard = self.guard
        guard.heads.pop(self, None)
        guard.bodies.pop(self, None)
        guard.stalled.pop(self, None)
        guard.idle.pop(self, None)

    def _expect_head(self) -> None:
        guard = self.guard
        guard.heads[self] = self.loop.time() + guard.limits.head_timeout_s
        guard.watch(self.loop)

    def _refuse(self, error: SarasError) -> None:
        self.forget()
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self.guard.closed(error.code)
            self.transport.write(_raw_answer(error))
        self.transport.close()


def _raw_answer(error: SarasError) -> bytes:
    request_id = str(new_id())
    body = jsonio.dumps(problem(error, request_id))
    headers = [
        (b"content-type", PROBLEM),
        (b"content-length", str(len(body)).encode("ascii")),
        (b"x-request-id", request_id.encode("ascii")),
        (b"connection", b"close"),
        *API_POLICY,
    ]
    lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
    return f"HTTP/1.1 {error.status} {error.title}\r\n".encode("ascii") + lines + b"\r\n" + body


def guarded(limits: SocketLimits, closed: Callable[[str], None]) -> type[GuardedProtocol]:
    """A protocol class with a guard of its own, for one server."""
    return type("ServerProtocol", (GuardedProtocol,), {"guard": Guard(limits, closed)})


def uvicorn_config(app: Any, settings: GatewaySettings, metrics: Metrics | None = None) -> uvicorn.Config:
    """How the door is served, alone or all in one: ``uvicorn.Server(uvicorn_config(app, settings))``."""
    refusals = (metrics or Metrics()).counter(
        "saras_gateway_sockets_closed_total", "Connections refused or cut by the server, by reason", ("reason",)
    )
    limits = SocketLimits(
        settings.max_connections,
        settings.max_header_bytes,
        settings.header_timeout_s,
        settings.body_timeout_s,
        settings.answer_timeout_s,
    )
    http = guarded(limits, lambda reason: refusals.labels(reason).inc())
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop" if importlib.util.find_spec("uvloop") else "asyncio",
        http=http,
        ws=guarded_websocket(http.guard),
        ws_max_size=MOST_MESSAGE_BYTES,
        ws_ping_interval=PING_EVERY_S,
        ws_ping_timeout=PONG_WITHIN_S,
        ws_per_message_deflate=False,  # hundreds of kilobytes a connection
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=4096,
        timeout_keep_alive=settings.keepalive_timeout_s,
        timeout_graceful_shutdown=_GRACEFUL_S,
    )


def allow_many_sockets(connections: int) -> None:
    """Raise this process's limit of open files as far as needed and allowed; a shell's default is often 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
