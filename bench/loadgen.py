"""A load generator small enough not to be what is measured: raw HTTP/1.1 over asyncio, keep-alive, no parsing to spare.

Runs as a process of its own: ``python bench/loadgen.py HOST PORT CLIENTS < requests``, the requests as length-prefixed
bytes on standard input; prints one JSON line with counts by status and latencies in milliseconds.
"""

import asyncio
import contextlib
import json
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

TIMEOUT_S = 300
"""A server that stops answering ends the run with an error, not never."""


@dataclass(frozen=True)
class Load:
    """What a run came to."""

    seconds: float
    statuses: dict[str, int]
    p50_ms: float
    p99_ms: float
    last_body: str

    @property
    def total(self) -> int:
        return sum(self.statuses.values())


def http_request(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """The bytes of one request; Host and Content-Length are added."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def run_load(port: int, requests: Sequence[bytes], clients: int, *, rate: float = 0.0) -> Load:
    """Send ``requests`` over ``clients`` keep-alive connections from a process of its own.

    ``rate`` > 0 paces them to so many a second, else each client sends its next as soon as it was answered.
    """
    packed = b"".join(struct.pack(">I", len(request)) + request for request in requests)
    done = subprocess.run(
        [sys.executable, __file__, "127.0.0.1", str(port), str(clients), str(rate)],
        input=packed,
        stdout=subprocess.PIPE,
        check=True,
    )
    return Load(**json.loads(done.stdout))


class _Client(asyncio.Protocol):
    """One connection: sends the next request when the answer to the last one is whole."""

    def __init__(self, queue: "asyncio.Queue[bytes]", finished: asyncio.Future[None], seen: "_Seen") -> None:
        self._queue, self._finished, self._seen = queue, finished, seen
        self._buffer = b""
        self._need = -1
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one by behaviour only
        self._next()

    def _next(self) -> None:
        try:
            request = self._queue.get_nowait()
        except asyncio.QueueEmpty:
            self._transport.close()
            return
        self._sent_at = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._need < 0:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self._buffer[:end].lower()
            at = head.find(b"content-length:")
            if at < 0:
                raise RuntimeError("an answer without Content-Length")
            length = int(head[at + 15 : head.find(b"\r\n", at) if head.find(b"\r\n", at) > 0 else len(head)])
            self._need = end + 4 + length
        if len(self._buffer) >= self._need:
            self._seen.add(self._buffer[9:12].decode(), time.perf_counter() - self._sent_at, self._buffer)
            self._buffer, self._need = self._buffer[self._need :], -1
            self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._finished.done():
            if self._buffer or exc:
                self._seen.add("cut", 0.0, b"")
            self._finished.set_result(None)


class _Seen:
    def __init__(self) -> None:
        self.statuses: Counter[str] = Counter()
        self.latencies: list[float] = []
        self.last = b""

    def add(self, status: str, seconds: float, answer: bytes) -> None:
        self.statuses[status] += 1
        self.latencies.append(seconds)
        self.last = answer


async def _drive(host: str, port: int, clients: int, rate: float, requests: Iterable[bytes]) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[bytes] = asyncio.Queue()
    seen = _Seen()
    finished = [loop.create_future() for _ in range(clients)]
    started = time.perf_counter()
    if rate > 0:
        await _paced(host, port, rate, list(requests), seen)
    else:
        for request in requests:
            queue.put_nowait(request)
        for future in finished:
            await loop.create_connection(lambda future=future: _Client(queue, future, seen), host, port)  # type: ignore[misc] # bound per client
        await asyncio.wait_for(asyncio.gather(*finished), TIMEOUT_S)
    seconds = time.perf_counter() - started
    ordered = sorted(seen.latencies) or [0.0]
    return {
        "seconds": seconds,
        "statuses": dict(seen.statuses),
        "p50_ms": ordered[len(ordered) // 2] * 1000,
        "p99_ms": ordered[int(len(ordered) * 0.99)] * 1000,
        "last_body": seen.last.partition(b"\r\n\r\n")[2][:400].decode("utf-8", "replace"),
    }


async def _paced(host: str, port: int, rate: float, requests: list[bytes], seen: _Seen) -> None:
    """One request each 1/rate seconds, on connections that are free, as many as it takes."""
    loop = asyncio.get_running_loop()
    running: list[asyncio.Future[None]] = []
    started = time.perf_counter()
    for number, request in enumerate(requests):
        await asyncio.sleep(max(0.0, started + number / rate - time.perf_counter()))
        one: asyncio.Queue[bytes] = asyncio.Queue()
        one.put_nowait(request)
        future: asyncio.Future[None] = loop.create_future()
        running.append(future)
        await loop.create_connection(lambda one=one, future=future: _Client(one, future, seen), host, port)  # type: ignore[misc] # bound per request
    await asyncio.wait_for(asyncio.gather(*running), TIMEOUT_S)


def _read_requests() -> list[bytes]:
    data = sys.stdin.buffer.read()
    requests, at = [], 0
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        requests.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    return requests


def main() -> None:
    host, port, clients, rate = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    with contextlib.suppress(ImportError):
        import uvloop

        uvloop.install()
    print(json.dumps(asyncio.run(_drive(host, port, clients, rate, _read_requests()))))


if __name__ == "__main__":
    main()
