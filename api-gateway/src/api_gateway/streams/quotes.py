"""Last prices for those who asked: one question to the executor for all of them, answers only where they changed."""

import asyncio
import logging
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from api_gateway.streams.mailbox import Mailbox
from api_gateway.upstreams import Upstream
from saras_common.clock import Clock

log = logging.getLogger(__name__)

QUOTES_SERVICE = "trade-executor"
MOST_A_CONNECTION = 500
_A_CALL = 500


class Quotes:
    """Who wants which instrument, and what it last cost. ``upstream`` may be ``None``: then there are no quotes."""

    def __init__(self, upstream: Upstream | None, clock: Clock, every_s: float) -> None:
        self._upstream = upstream
        self._clock = clock
        self._every_s = every_s
        self._wanted: dict[str, set[Mailbox]] = {}
        self._last: dict[str, Any] = {}
        self._some = asyncio.Event()
        self._is_good = True

    def subscribe(self, mailbox: Mailbox, names: Iterable[str]) -> None:
        """``mailbox`` has the known prices at once and every change from now on."""
        for name in names:
            self._wanted.setdefault(name, set()).add(mailbox)
            if name in self._last:
                mailbox.put_quotes({name: self._last[name]})
        if self._wanted:
            self._some.set()

    def unsubscribe(self, mailbox: Mailbox, names: Iterable[str]) -> None:
        """No more of these."""
        for name in names:
            readers = self._wanted.get(name, set())
            readers.discard(mailbox)
            if not readers:
                self._wanted.pop(name, None)
                self._last.pop(name, None)
        mailbox.drop_quotes(names)
        if not self._wanted:
            self._some.clear()

    async def run(self) -> None:
        """Look for ever, while anybody wants anything."""
        while True:
            await self._some.wait()
            try:
                await self._look()
            except Exception as error:  # noqa: BLE001 - prices come again when the executor does
                self._note(error)
            else:
                self._note(None)
            await asyncio.sleep(self._every_s)

    async def _look(self) -> None:
        names = list(self._wanted)
        for start in range(0, len(names), _A_CALL):
            part = names[start : start + _A_CALL]
            reader = next((mailbox for name in part for mailbox in self._wanted.get(name, ())), None)
            if reader is not None and self._upstream is not None:
                # any reader may see every price: one of them asks for all
                token = reader.caller.token_for(QUOTES_SERVICE, self._clock.monotonic()).decode("ascii")
                path = f"/quotes?instruments={quote(','.join(part), safe=':,')}"
                answer = await self._upstream.ask(path, {"x-internal-token": token})
                self._tell(answer.json()["items"])

    def _tell(self, items: Iterable[dict[str, Any]]) -> None:
        for item in items:
            name = item["instrument"]
            if name in self._wanted and self._last.get(name) != item:
                self._last[name] = item
                for mailbox in self._wanted[name]:
                    mailbox.put_quotes({name: item})

    def _note(self, error: Exception | None) -> None:
        if (error is None) != self._is_good:
            self._is_good = error is None
            if error is not None:
                log.warning("quotes are not read", extra={"reason": type(error).__name__})
