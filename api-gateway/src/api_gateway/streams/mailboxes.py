"""Every open stream of this process: how many there may be, whom an event goes to, and which must end."""

import asyncio
from collections.abc import Iterable

from api_gateway.sessions import Caller, Revocations
from api_gateway.streams.errors import TooManyStreams
from api_gateway.streams.feed import Entry
from api_gateway.streams.mailbox import Encode, Ending, Mailbox
from api_gateway.streams.settings import StreamLimits
from saras_common.clock import Clock
from saras_common.errors import Unauthenticated, Unavailable
from saras_common.metrics import Metrics

RETRY_AFTER_S = 5


class Mailboxes:
    """By user. One sweep looks after all of them: revocation, tokens that ran out, heartbeats."""

    def __init__(self, limits: StreamLimits, revocations: Revocations, clock: Clock, metrics: Metrics) -> None:
        self._limits = limits
        self._revocations = revocations
        self._clock = clock
        self._by_user: dict[str, set[Mailbox]] = {}
        self._count = 0
        self._some = asyncio.Event()
        self._open = metrics.gauge("saras_gateway_streams", "Streams open now")
        self._ended = metrics.counter("saras_gateway_streams_ended_total", "Streams ended, by reason", ("reason",))

    def open(self, caller: Caller, encode: Encode, heartbeat: bytes = b"") -> Mailbox:
        """One more for ``caller``; `TooManyStreams` or `Unavailable` past the limits. Ending it closes it."""
        own = self._by_user.get(caller.user, ())
        if len(own) >= self._limits.per_user:
            raise TooManyStreams(f"At most {self._limits.per_user} streams a user", retry_after_s=RETRY_AFTER_S)
        if self._count >= self._limits.streams:
            raise Unavailable("Too many streams are open here", retry_after_s=RETRY_AFTER_S)
        mailbox = Mailbox(caller, encode, heartbeat, self._limits.buffer_bytes, self._forget)
        mailbox.spoke_at = self._clock.monotonic()
        self._by_user.setdefault(caller.user, set()).add(mailbox)
        self._count += 1
        self._open.set(self._count)
        self._some.set()
        return mailbox

    @property
    def is_empty(self) -> bool:
        """Whether nobody listens."""
        return self._count == 0

    async def wait_for_some(self) -> None:
        """Return when somebody listens."""
        await self._some.wait()

    def deliver(self, entries: Iterable[Entry]) -> None:
        """Each event to the connections of its user, and to nobody else."""
        now = self._clock.monotonic()
        for entry in entries:
            frames: dict[Encode, bytes] = {}  # written once, however many listen
            for mailbox in tuple(self._by_user.get(entry.user, ())):
                if entry.position > mailbox.after:
                    frame = frames.get(mailbox.encode) or frames.setdefault(mailbox.encode, mailbox.encode(entry))
                    mailbox.spoke_at = now
                    mailbox.put_frame(frame)

    def sweep(self) -> None:
        """End what may no longer be; let the silent ones give a sign of life."""
        now, unix_now = self._clock.monotonic(), self._clock.now().timestamp()
        for mailbox in self.all():
            ending = self._verdict(mailbox.caller, unix_now)
            if ending is not None:
                mailbox.end(ending)
            elif mailbox.heartbeat and now - mailbox.spoke_at >= self._limits.heartbeat_s:
                mailbox.spoke_at = now
                mailbox.put_frame(mailbox.heartbeat)

    def end_all(self, ending: Ending) -> None:
        """End every stream."""
        for mailbox in self.all():
            mailbox.end(ending)

    def all(self) -> list[Mailbox]:
        """Every open one."""
        return [mailbox for own in self._by_user.values() for mailbox in own]

    def _verdict(self, caller: Caller, unix_now: float) -> Ending | None:
        if caller.identity.expires_at <= unix_now:
            return Ending.SIGNED_OUT
        try:
            self._revocations.check(caller.identity)
        except Unauthenticated:
            return Ending.SIGNED_OUT
        except Unavailable:
            return Ending.UNKNOWN
        return None

    def _forget(self, mailbox: Mailbox) -> None:
        own = self._by_user[mailbox.user]
        own.discard(mailbox)
        if not own:
            del self._by_user[mailbox.user]
        self._count -= 1
        self._open.set(self._count)
        if self._count == 0:
            self._some.clear()
        self._ended.labels(str(mailbox.ending)).inc()
