"""One connection's share of what happens: bounded, and gone when its reader is too slow."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any

from api_gateway.sessions import Caller
from api_gateway.streams.feed import LARGEST, Entry

Encode = Callable[[Entry], bytes]


class Ending(StrEnum):
    """Why a stream ended."""

    GONE = "gone"
    """The client left."""
    SIGNED_OUT = "signed_out"
    """Its session was ended, its user disabled, or its token's time is over."""
    UNKNOWN = "revocations_unknown"
    """Nobody can say whether its session still holds."""
    SLOW = "slow"
    """It did not take what was sent."""
    RESET = "reset"
    """The feed went back in time: only a fresh start is safe."""
    BROKEN = "broken"
    """What it missed could not be read."""
    REFUSED = "refused"
    """It broke the rules of the conversation."""
    CLOSING = "closing"
    """This process is about to end."""


class Mailbox:
    """Frames that wait for one connection, and its reason to end.

    Made in the task that writes to the connection: a writer that is stuck when the end comes is cancelled.
    """

    def __init__(
        self,
        caller: Caller,
        encode: Encode,
        heartbeat: bytes,
        most_bytes: int,
        ended: Callable[["Mailbox"], None],
    ) -> None:
        self.caller = caller
        self.encode = encode
        self.heartbeat = heartbeat
        """What breaks a long silence; nothing where the wire has its own."""
        self.after = LARGEST
        """Live events up to this position are not for this connection; it begins with none."""
        self.spoke_at = 0.0
        """When something was last put in, by the monotonic clock of whoever looks."""
        self.ending: Ending | None = None
        self._most_bytes = most_bytes
        self._ended = ended
        self._frames: list[bytes] = []
        self._size = 0
        self._quotes: dict[str, Any] = {}
        self._due = asyncio.Event()
        self._writer = asyncio.current_task()
        self._is_writing = False
        self._is_cut = False

    @property
    def user(self) -> str:
        """Whose it is."""
        return self.caller.user

    def begin_at(self, position: int) -> None:
        """Live events after ``position`` are for this connection; those that came before are not."""
        self.after = position
        self._frames.clear()
        self._size = 0

    def put_frame(self, frame: bytes) -> None:
        """Something to write after what waits already."""
        self._frames.append(frame)
        self._size += len(frame)
        self._due.set()
        if self._size > self._most_bytes:
            self.end(Ending.SLOW)

    def put_quotes(self, quotes: Mapping[str, Any]) -> None:
        """Last prices by instrument; of those that wait only the newest is kept."""
        self._quotes.update(quotes)
        self._due.set()

    def drop_quotes(self, names: Iterable[str]) -> None:
        """No longer wanted."""
        for name in names:
            self._quotes.pop(name, None)

    def end(self, ending: Ending) -> None:
        """Nothing more is written; a writer stuck in a full socket is freed."""
        if self.ending is not None:
            return
        self.ending = ending
        self._frames.clear()
        self._due.set()
        self._ended(self)
        if self._is_writing and self._writer is not None:
            self._is_cut = True
            self._writer.cancel()

    async def take(self) -> tuple[list[bytes], list[Any]]:
        """Wait for frames or quotes and have all of them; both empty at the end."""
        await self._due.wait()
        if self.ending is not None:
            return [], []
        frames, quotes = self._frames, list(self._quotes.values())
        self._frames, self._size, self._quotes = [], 0, {}
        self._due.clear()
        return frames, quotes

    def writing(self) -> "Mailbox":
        """A context in which the writer may get stuck: ``with mailbox.writing(): await send(…)``."""
        return self

    def __enter__(self) -> None:
        self._is_writing = True

    def __exit__(self, *_: object) -> None:
        self._is_writing = False

    def was_cut(self) -> bool:
        """Whether the cancellation the writer just caught came from `end`; it is taken back then."""
        return self._is_cut and self._writer is not None and self._writer.uncancel() == 0
