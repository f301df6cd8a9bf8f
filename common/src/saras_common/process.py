"""A service's API or its loops as a process; loops are threads, watched through a small port of their own.

A loop that fails or ends by itself ends the process, for whoever supervises it (systemd, Kubernetes, `saras up
--spread`) starts a process again, but cannot see a thread.
"""

import logging
import signal
import threading
from collections.abc import Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import uvicorn
from fastapi import FastAPI

from saras_common.metrics import Metrics
from saras_common.settings import ServiceSettings
from saras_common.web import Worker

log = logging.getLogger(__name__)

EXIT_FAILED = 1
REQUEST_TIMEOUT_S = 5.0
GRACEFUL_S = 20


def serve_api(settings: ServiceSettings, app: FastAPI) -> None:
    """Serve HTTP until SIGTERM, which lets requests that came before it end; its log goes the way of all others."""
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        http="httptools",
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=GRACEFUL_S,
    )


def run_workers(settings: ServiceSettings, workers: Sequence[Worker], metrics: Metrics) -> int:
    """Run every worker until SIGTERM or SIGINT, or until one of them fails; the process's exit code."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    failed: list[str] = []
    threads = [
        threading.Thread(target=_watched, args=(worker, stop, failed), name=worker.name, daemon=True)
        for worker in workers
    ]
    probes = Probes(settings.host, settings.probe_port, metrics) if settings.probe_port else None
    for thread in threads:
        thread.start()
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

    def __init__(self, host: str, port: int, metrics: Metrics) -> None:
        handler = type("Handler", (_Handler,), {"metrics": metrics})
        self._server = ThreadingHTTPServer((host, port), handler)
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
