"""HTTP/1.1 as bytes: whatever a hostile client may write, on as many connections as wanted, and what comes back."""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import httptools

JSON = "application/json"
_NO_BODY = frozenset({204, 304})


class Silent(Exception):
    """No whole answer: the connection was closed, or the time was up. The message says which."""


@dataclass(slots=True)
class Answer:
    """One answer; header names in lower case, the last of a repeated one."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def media_type(self) -> str:
        """Without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip()


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent. ``target`` and ``headers`` go out as they are, save characters that would end the line."""

    method: str
    target: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str | None = JSON

    def raw(self, host: str) -> bytes:
        """The bytes, with a length; ``Host`` is ``host`` unless told otherwise."""
        lines = {"Host": host, **self.headers}
        if self.body is not None:
            lines = {"Content-Length": str(len(self.body)), **lines}
            if self.content_type is not None:
                lines = {"Content-Type": self.content_type, **lines}
        head = [f"{self.method} {_line(self.target)} HTTP/1.1"]
        head += [f"{_line(name)}: {_line(value)}" for name, value in lines.items()]
        return "\r\n".join(head).encode("latin-1", "replace") + b"\r\n\r\n" + (self.body or b"")


def _line(text: str) -> str:
    return text.replace("\r", "").replace("\n", "")


class _Reader(asyncio.Protocol):
    """Puts one answer together at a time."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.waiting: asyncio.Future[Answer] | None = None
        self._begin(head_only=False)

    def _begin(self, *, head_only: bool) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._answer = Answer()
        self._parts: list[bytes] = []
        self._head_only = head_only

    def expect(self, *, head_only: bool) -> "asyncio.Future[Answer]":
        self._begin(head_only=head_only)
        self.waiting = asyncio.get_running_loop().create_future()
        return self.waiting

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, _error: Exception | None) -> None:
        self.transport = None
        self._fail("the connection was closed without an answer")

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(f"not HTTP: {type(error).__name__}")
            self.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._answer.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._answer.status = self._parser.get_status_code()
        if self._head_only or self._answer.status in _NO_BODY:
            self.on_message_complete()

    def on_body(self, body: bytes) -> None:
        self._parts.append(body)

    def on_message_complete(self) -> None:
        if self.waiting is not None and not self.waiting.done():
            self._answer.body = b"".join(self._parts)
            self.waiting.set_result(self._answer)

    def close(self) -> None:
        if self.transport is not None:
            self.transport.abort()
            self.transport = None

    def _fail(self, why: str) -> None:
        if self.waiting is not None and not self.waiting.done():
            self.waiting.set_exception(Silent(why))


class Line:
    """One keep-alive connection to ``host``:``port``, opened again whenever it was closed."""

    def __init__(self, host: str, port: int, *, timeout_s: float = 30.0) -> None:
        self._address = (host, port)
        self.name = f"{host}:{port}"
        self._timeout_s = timeout_s
        self._reader: _Reader | None = None

    async def ask(self, request: Request, *, head_only: bool = False) -> Answer:
        """One request and its answer. ``head_only``: what follows the headers is not waited for."""
        return await self.send(request.raw(self.name), head_only=head_only or request.method == "HEAD")

    async def send(self, raw: bytes, *, head_only: bool = False) -> Answer:
        """These very bytes; `Silent` when nothing comes back. A connection closed while idle is opened again."""
        reader = self._reader
        if reader is None or reader.transport is None or reader.transport.is_closing():
            reader = await self._open()
        assert reader.transport is not None
        waiting = reader.expect(head_only=head_only)
        reader.transport.write(raw)
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await waiting
        except TimeoutError:
            self.close()
            raise Silent(f"no answer in {self._timeout_s:.0f} s") from None
        if head_only or answer.headers.get("connection", "").lower() == "close":
            self.close()
        return answer

    def close(self) -> None:
        """End the connection."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    async def _open(self) -> _Reader:
        try:
            _, reader = await asyncio.get_running_loop().create_connection(_Reader, *self._address)
        except OSError as error:
            raise Silent(f"cannot connect ({type(error).__name__})") from error
        self._reader = reader
        return reader


async def exchange(host: str, port: int, raw: bytes, *, wait_s: float = 3.0) -> bytes:
    """Everything a fresh connection says to ``raw`` until it is closed or ``wait_s`` pass without a word."""
    said = b""
    reader, writer = await asyncio.open_connection(host, port)
    with contextlib.suppress(OSError, TimeoutError):
        writer.write(raw)
        await writer.drain()
        while part := await asyncio.wait_for(reader.read(65536), wait_s):
            said += part
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return said
