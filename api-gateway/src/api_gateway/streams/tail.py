"""The feed's end, followed once for the whole process and only while somebody listens.

Positions are given in the order of commits, so whatever stands after the position reached is yet to come, and whatever
stands before it can be read: a connection that begins at the position takes older events from the feed and newer ones
from here, with none in between and none twice.
"""

import asyncio
import logging
from collections.abc import AsyncIterator

from api_gateway.streams.feed import RESET, Entry, Feed
from api_gateway.streams.mailbox import Ending, Mailbox
from api_gateway.streams.mailboxes import Mailboxes
from saras_common.clock import Clock, rfc3339
from saras_common.errors import Unavailable

log = logging.getLogger(__name__)

_JOIN_TIMEOUT_S = 5.0
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0


class Tail:
    """Reads on and on; what it reads goes to the mailboxes."""

    def __init__(self, feed: Feed, mailboxes: Mailboxes, clock: Clock) -> None:
        self._feed = feed
        self._mailboxes = mailboxes
        self._clock = clock
        self._position: int | None = None
        self._reached = asyncio.Event()
        self.is_good = True

    async def run(self) -> None:
        """For ever."""
        pause_s = _FIRST_PAUSE_S
        while True:
            if self._mailboxes.is_empty:
                self._position = None
                self._reached.clear()
                await self._mailboxes.wait_for_some()
            try:
                await self._step()
            except Exception as error:  # noqa: BLE001 - whatever it is, streams wait and catch up
                self._note(error)
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
            else:
                self._note(None)
                pause_s = _FIRST_PAUSE_S

    async def place(self, mailbox: Mailbox) -> int:
        """Let ``mailbox`` have every event from now on; the position it begins at."""
        try:
            async with asyncio.timeout(_JOIN_TIMEOUT_S):
                await self._reached.wait()
        except TimeoutError:
            pass  # the position, or rather none, says so
        position = self._position
        if position is None:
            raise Unavailable("Events cannot be read at the moment", retry_after_s=2)
        mailbox.begin_at(position)
        return position

    async def catch_up(self, mailbox: Mailbox, after: int) -> AsyncIterator[list[Entry]]:
        """What the user of ``mailbox`` missed since ``after``, in parts; live events wait in it meanwhile.

        A position that is no longer, or not yet, in the feed gives one `RESET` instead.
        """
        until = await self.place(mailbox)
        mailbox.after = max(until, after)  # whoever read at another gateway may be ahead of this one
        rows = await self._feed.of_user(mailbox.user, after, until)
        if not rows.floor <= after <= rows.head:
            at = rfc3339(self._clock.now())
            yield [Entry(await self.place(mailbox), mailbox.user, RESET, at, {})]
            return
        while rows.entries:
            yield rows.entries
            if rows.is_last:
                return
            rows = await self._feed.of_user(mailbox.user, rows.entries[-1].position, until)

    async def _step(self) -> None:
        if self._position is None:
            self._position = await self._feed.head()
            self._reached.set()
            return
        rows = await self._feed.after(self._position)
        if rows.head < self._position:
            log.error("the feed went back in time: every stream begins afresh")
            self._position = None
            self._reached.clear()
            self._mailboxes.end_all(Ending.RESET)
        elif rows.entries:
            self._position = rows.entries[-1].position
            self._mailboxes.deliver(rows.entries)

    def _note(self, error: Exception | None) -> None:
        if (error is None) != self.is_good:
            self.is_good = error is None
            if error is None:
                log.info("events are read again")
            else:
                log.warning("events are not read", extra={"reason": type(error).__name__})
