"""PostgreSQL, RabbitMQ and Redis of a spread-out platform: private, lasting, and started again when they die."""

import logging
import subprocess
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from saras.errors import CannotStart
from saras_common.postgres import EmbeddedPostgres
from saras_common.servers import PrivateRabbit, PrivateRedis

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.25
PAUSE_S = 1.0
POSTGRES_SETTINGS = {"max_connections": "400"}
"""A pool for each of some thirty processes."""


class Server(Protocol):
    """PostgreSQL, RabbitMQ or Redis."""

    @property
    def process(self) -> subprocess.Popen[bytes] | None: ...

    def start(self) -> str: ...

    def stop(self) -> None: ...


class KeptServer:
    """One server, watched from a thread of its own."""

    def __init__(self, name: str, server: Server) -> None:
        self.name = name
        self.restarts = 0
        self._server = server
        self._stopping = threading.Event()
        self._watch = threading.Thread(target=self._keep, name=name, daemon=True)

    @property
    def pid(self) -> int | None:
        """Its process while it runs."""
        process = self._server.process
        return process.pid if process is not None and process.poll() is None else None

    def start(self) -> str:
        """Start it and keep it running; its URL. `CannotStart` says why not."""
        try:
            url = self._server.start()
        except (RuntimeError, OSError) as error:
            raise CannotStart(str(error)) from error
        self._watch.start()
        return url

    def stop(self) -> None:
        """End it in order."""
        self._stopping.set()
        if self._watch.is_alive():
            self._watch.join()
        self._server.stop()

    def _keep(self) -> None:
        while not self._stopping.wait(LOOK_EVERY_S):
            if self.pid is None:
                log.warning("a server ended and starts again", extra={"server": self.name})
                self.restarts += 1
                self._start_again()

    def _start_again(self) -> None:
        try:
            self._server.stop()
            self._server.start()
        except (RuntimeError, OSError) as error:
            log.warning("a server does not start yet: %s", error, extra={"server": self.name})
            self._stopping.wait(PAUSE_S)


def private_servers(folder: Path, ports: Mapping[str, int], passwords: Mapping[str, str]) -> list[KeptServer]:
    """PostgreSQL, RabbitMQ and Redis in ``folder``, in this order; `CannotStart` when one is not installed."""
    for kind in (PrivateRabbit, PrivateRedis):
        if reason := kind.missing():
            raise CannotStart(f"{reason}: `sudo make services` installs it")
    rabbit = PrivateRabbit(folder / "rabbitmq", port=ports["rabbitmq"], password=passwords["rabbitmq"])
    redis = PrivateRedis(folder / "redis", port=ports["redis"], password=passwords["redis"])
    postgres = EmbeddedPostgres(folder / "postgres", settings=POSTGRES_SETTINGS)
    return [KeptServer("postgresql", postgres), KeptServer("rabbitmq", rabbit), KeptServer("redis", redis)]


def start_all(servers: Sequence[KeptServer]) -> list[str]:
    """Start them at once; their URLs. When one cannot start, what did is left for the caller to stop."""
    with ThreadPoolExecutor(len(servers)) as pool:
        return list(pool.map(KeptServer.start, servers))
