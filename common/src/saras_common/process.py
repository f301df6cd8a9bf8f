"""A service's API or its loops as a process; loops are threads, watched through a small port of their own.

A loop that fails or ends by itself ends the process, for whoever supervises it (systemd, Kubernetes, `saras up
--spread`) starts a process again, but cannot see a thread.

A process may be given its listening socket. Two then share one queue of connections, so that one follows the other
without a client noticing: the new one says when it is ready, the old one gets SIGTERM and drains.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import FrameType
from typing import ClassVar

import uvicorn
from fastapi import FastAPI

from saras_common.confidential import leave_no_core
from saras_common.metrics import Metrics
from saras_common.settings import ServiceSettings
from saras_common.web import Worker

log = logging.getLogger(__name__)

EXIT_FAILED = 1
REQUEST_TIMEOUT_S = 5.0
GRACEFUL_S = 20
DRAIN_S = 5.0
"""Longer than our own clients keep an idle connection: the gateway three seconds."""

LOOK_S = 0.05


def serve_api(settings: ServiceSettings, app: FastAPI) -> None:
    """Serve HTTP until a signal, as `serve` says; its log goes the way of all others."""
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http="httptools",
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=GRACEFUL_S,
    )
    serve(config, settings)


def serve(config: uvicorn.Config, settings: ServiceSettings) -> None:
    """Serve ``config`` on the socket given in ``settings``, or on one of its own.

    SIGTERM drains the connections, SIGINT closes idle ones at once; both let requests that came before them end. The
    process ends with `EXIT_FAILED` when it cannot start.
    """
    leave_no_core()
    server = DrainingServer(config, ready_fd=settings.ready_fd)
    sockets = None if settings.listen_fd is None else [socket.socket(fileno=settings.listen_fd)]
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises its signals again, once it has ended in order
        server.run(sockets)
    if not server.started:
        sys.exit(EXIT_FAILED)


class DrainingServer(uvicorn.Server):
    """uvicorn that leaves, at SIGTERM, without a request lost on a connection that was kept alive.

    A server that closes an idle connection cannot know whether a request is on its way there. So nothing is closed at
    first: each connection gets one answer more, which says that it is the last, and who is idle for longer than clients
    keep connections (`DRAIN_S`) has nothing on its way.
    """

    def __init__(self, config: uvicorn.Config, *, ready_fd: int | None = None, drain_s: float = DRAIN_S) -> None:
        super().__init__(config)
        self._ready_fd = ready_fd
        self._drain_s = drain_s
        self._drains = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Note the signal."""
        self._drains = sig == signal.SIGTERM
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        if self.started:
            say_ready(self._ready_fd)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain if asked to, then end as uvicorn does."""
        for server in self.servers:
            server.close()
        self.server_state.default_headers = [*self.server_state.default_headers, (b"connection", b"close")]
        loop = asyncio.get_running_loop()
        until = loop.time() + self._drain_s
        while self._drains and self.server_state.connections and loop.time() < until:  # noqa: ASYNC110 - uvicorn tells nobody
            await asyncio.sleep(LOOK_S)
        await super().shutdown(sockets)


def say_ready(ready_fd: int | None) -> None:
    """A byte down the pipe whoever started this process waits at."""
    if ready_fd is not None:
        os.write(ready_fd, b"\n")
        os.close(ready_fd)


def run_workers(settings: ServiceSettings, workers: Sequence[Worker], metrics: Metrics) -> int:
    """Run every worker until SIGTERM or SIGINT, or until one of them fails; the process's exit code."""
    leave_no_core()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    failed: list[str] = []
    threads = [
        threading.Thread(target=_watched, args=(worker, stop, failed), name=worker.name, daemon=True)
        for worker in workers
    ]
    probes = None
    if settings.probe_port:
        probes = Probes(settings.host, settings.probe_port, metrics, listen_fd=settings.listen_fd)
    for thread in threads:
        thread.start()
    say_ready(settings.ready_fd)
    stop.wait()
    for thread in threads:
        thread.join()
    if probes is not None:
        probes.close()
    return EXIT_FAILED if failed else 0


def _watched(worker: Worker, stop: threading.Event, failed: list[str]) -> None:
    try:
        worker.run(stop)
    except Exception:
        log.exception("worker failed", extra={"worker": worker.name})
        failed.append(worker.name)
    if not stop.is_set():
        log.error("worker ended by itself", extra={"worker": worker.name})
        failed.append(worker.name)
        stop.set()


class Probes:
    """``/health/live`` and ``/metrics`` of a process that serves nothing else."""

    def __init__(self, host: str, port: int, metrics: Metrics, *, listen_fd: int | None = None) -> None:
        handler = type("Handler", (_Handler,), {"metrics": metrics})
        self._server = ThreadingHTTPServer((host, port), handler, bind_and_activate=listen_fd is None)
        if listen_fd is not None:
            self._server.socket.close()
            self._server.socket = socket.socket(fileno=listen_fd)
            self._server.server_address = self._server.socket.getsockname()
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="probes", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    metrics: ClassVar[Metrics]
    timeout = REQUEST_TIMEOUT_S
    server_version = "saras"
    sys_version = ""

    def do_GET(self) -> None:
        match self.path:
            case "/health/live":
                self._answer(HTTPStatus.OK, "application/json", b'{"status":"ok"}')
            case "/metrics":
                self._answer(HTTPStatus.OK, self.metrics.content_type, self.metrics.render())
            case _:
                self._answer(HTTPStatus.NOT_FOUND, "application/json", b"{}")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Probes come every few seconds and say nothing."""

    def _answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
