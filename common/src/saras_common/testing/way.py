"""A TCP way to a server that can be cut, blocked and left half open, between two programs that know nothing of it."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Self

CHUNK = 65_536
START_TIMEOUT_S = 10.0


class _Pair:
    """One connection, both ends."""

    def __init__(self, near: asyncio.StreamWriter, far: asyncio.StreamWriter, flowing: asyncio.Event) -> None:
        self.near = near
        self.far = far
        self.flowing = flowing

    def reset(self) -> None:
        self.near.transport.abort()
        self.far.transport.abort()


class Way:
    """Leads from ``port`` to the server at ``target`` on the loopback. Its methods may be called from any thread."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self._target = target
        self._pairs: set[_Pair] = set()
        self._flowing = asyncio.Event()
        self._refusing = False
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="way", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(START_TIMEOUT_S), "the way did not open"
        return self

    def __exit__(self, *_: object) -> None:
        self._soon(self._reset)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def cut(self) -> None:
        """Every connection is reset; new ones are refused until `mend`."""
        self._soon(self._cut)

    def hang(self) -> None:
        """Nothing passes any more, not even that an end closed; who connects is taken and hangs as well."""
        self._soon(self._flowing.clear)

    def mend(self) -> None:
        """All flows again, what hung included."""
        self._soon(self._mend)

    def leave_half_open(self) -> None:
        """New connections pass; those that are there now stay silent until `bury`."""
        self._soon(self._leave)

    def bury(self) -> None:
        """Reset what was left half open."""
        self._soon(self._bury)

    def _soon(self, act: Callable[[], None]) -> None:
        async def call() -> None:
            act()

        asyncio.run_coroutine_threadsafe(call(), self._loop).result(START_TIMEOUT_S)

    def _reset(self) -> None:
        for pair in list(self._pairs):
            pair.reset()

    def _cut(self) -> None:
        self._refusing = True
        self._reset()

    def _mend(self) -> None:
        self._refusing = False
        self._flowing.set()

    def _leave(self) -> None:
        self._flowing.clear()
        self._flowing = asyncio.Event()
        self._mend()

    def _bury(self) -> None:
        for pair in list(self._pairs):
            if pair.flowing is not self._flowing:
                pair.reset()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._take, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._flowing.set()
        self._ready.set()
        self._loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        pair = _Pair(writer, far_writer, self._flowing)
        self._pairs.add(pair)
        both: list[Coroutine[Any, Any, None]] = [_carry(pair, reader, far_writer), _carry(pair, far_reader, writer)]
        try:
            await asyncio.gather(*both)
        finally:
            self._pairs.discard(pair)
            pair.reset()


async def _carry(pair: _Pair, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One direction, until its end closes."""
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK):
            await pair.flowing.wait()
            writer.write(data)
            await writer.drain()
    await pair.flowing.wait()
    writer.close()
