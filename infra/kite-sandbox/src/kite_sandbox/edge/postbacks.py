"""Postbacks: the order, POSTed to the app's address. Best effort: a few tries, a bounded queue, then forgotten."""

import asyncio
import contextlib
import logging
import urllib.error
import urllib.request
from http import HTTPStatus

from kite_sandbox.edge.envelope import to_json
from kite_sandbox.edge.updates import update_view
from kite_sandbox.engine.broker import OrderUpdate
from kite_sandbox.sandbox import Sandbox

log = logging.getLogger(__name__)

TOLD = frozenset({"COMPLETE", "CANCELLED", "REJECTED", "UPDATE"})
TRIES = 3
PAUSE_S = 0.5
TIMEOUT_S = 5.0
MAX_WAITING = 10_000
SENDERS = 4


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_arguments: object, **_names: object) -> None:
        """Never follow: the address was configured, not negotiated."""


class Postbacks:
    """Sends updates to one address in the background."""

    def __init__(self, sandbox: Sandbox, url: str) -> None:
        self._sandbox = sandbox
        self._url = url
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue(MAX_WAITING)
        self._opener = urllib.request.build_opener(_NoRedirects, urllib.request.ProxyHandler({}))
        self._tasks: list[asyncio.Task[None]] = []
        sandbox.update_listeners.append(self._on_update)

    def start(self) -> None:
        """Begin sending."""
        self._tasks = [asyncio.create_task(self._send_all()) for _ in range(SENDERS)]

    async def stop(self) -> None:
        """Stop; what waits is dropped."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _on_update(self, update: OrderUpdate) -> None:
        if str(update.status) in TOLD:
            with contextlib.suppress(asyncio.QueueFull):
                self._waiting.put_nowait(to_json(update_view(self._sandbox, update)))

    async def _send_all(self) -> None:
        while True:
            body = await self._waiting.get()
            for attempt in range(TRIES):
                if await asyncio.to_thread(self._send, body):
                    break
                await asyncio.sleep(PAUSE_S * 2**attempt)

    def _send(self, body: bytes) -> bool:
        request = urllib.request.Request(  # noqa: S310 - the settings allow http and https only
            self._url,
            body,
            {"Content-Type": "application/json", "User-Agent": "kite-sandbox"},
            method="POST",
        )
        try:
            with self._opener.open(request, timeout=TIMEOUT_S) as answer:
                return bool(HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES)
        except (OSError, urllib.error.URLError, ValueError) as error:
            log.info("postback failed: %s", error)
            return False
