"""`idle_streams`, `fill_to_stream`: what two thousand idle streams cost, and how soon a fill is at the client."""

import asyncio
import json
import socket
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import Any

import aiohttp
from entry import accepted, single_requests
from figures import Figure, median_of
from loadgen import Load, http_request, run_load
from stage import Stage, stage

from api_gateway.server import allow_many_sockets
from saras.demo.people import Person

STREAMS, STREAMS_A_USER = 2000, 10
RUNS, REQUESTS, CLIENTS = 3, 4000, 8
RATE, SECONDS = 100, 20
READY_S = 30.0


def idle_streams() -> list[Figure]:
    """A small request's latency without streams and beside 2,000 of them, on one platform, in one run."""
    allow_many_sockets(STREAMS)
    with stage() as platform:
        people = platform.people(STREAMS // STREAMS_A_USER, prefix="idle")
        requests = [_request("GET", "/api/v1/me", person) for person in people] * (REQUESTS // len(people))
        run_load(platform.port, requests, CLIENTS)  # warm
        alone = [_ok(run_load(platform.port, requests, CLIENTS)) for _ in range(RUNS)]
        before_mb = platform.resident_mb()
        with _open_streams(platform, people):
            each_kb = (platform.resident_mb() - before_mb) * 1024 / STREAMS
            beside = [_ok(run_load(platform.port, requests, CLIENTS)) for _ in range(RUNS)]
    return [
        *_compared("p50", [load.p50_ms for load in alone], [load.p50_ms for load in beside], 1.25),
        *_compared("p99", [load.p99_ms for load in alone], [load.p99_ms for load in beside], 1.25),
        Figure("idle stream, memory", "kB", each_kb, [each_kb], note="growth of the whole process, a stream"),
    ]


def fill_to_stream() -> list[Figure]:
    """From the book's `order.updated` (its time is taken inside the transaction, before the commit) to the client."""
    with stage({"SARAS_WINDOW_S": "0.5"}) as platform:
        people = platform.people(50, prefix="fill")
        instruments = platform.instruments(3)
        listener = _Listener(platform.url, people)
        listener.start()
        accepted(run_load(platform.port, single_requests(people, instruments, 500), 1, rate=RATE))  # warm
        listener.wait_for_fills(500)
        listener.waits_s.clear()
        accepted(run_load(platform.port, single_requests(people, instruments, RATE * SECONDS), 1, rate=RATE))
        listener.wait_for_fills(RATE * SECONDS)
        listener.stop()
    waits_ms = sorted(wait_s * 1000 for wait_s in listener.waits_s)
    assert len(waits_ms) == RATE * SECONDS, "a fill was told twice"
    p50, p99 = statistics.median(waits_ms), waits_ms[int(len(waits_ms) * 0.99)]
    return [
        Figure("filled → SSE p50", "ms", p50, [], note=f"{len(waits_ms)} orders at {RATE}/s"),
        Figure("filled → SSE p99", "ms", p99, [], "≤ 250", p99 <= 250),
    ]


def measure() -> list[Figure]:
    """Both."""
    return idle_streams() + fill_to_stream()


def _compared(name: str, alone: Sequence[float], beside: Sequence[float], most: float) -> list[Figure]:
    ratio = median_of(beside) / median_of(alone)
    return [
        Figure(f"request {name}", "ms", median_of(alone), list(alone), note="no stream open"),
        Figure(f"request {name}, {STREAMS:,} streams", "ms", median_of(beside), list(beside)),
        Figure(f"request {name}, beside / alone", "ratio", ratio, [], f"≤ {most}", ratio <= most),
    ]


def _request(method: str, path: str, person: Person) -> bytes:
    return http_request(method, path, {"Authorization": f"Bearer {person.token}"})


def _ok(load: Load) -> Load:
    assert set(load.statuses) == {"200"}, (load.statuses, load.last_body)
    return load


@contextmanager
def _open_streams(platform: Stage, people: Sequence[Person]) -> Iterator[None]:
    """Streams of all people, opened and then left alone: heartbeats gather in the kernel."""
    with ExitStack() as stack:
        opened = []
        for person in people:
            for _ in range(STREAMS_A_USER):
                connection = stack.enter_context(socket.create_connection(("127.0.0.1", platform.port), 10))
                connection.sendall(_request("GET", "/api/v1/events", person))
                opened.append(connection)
        for connection in opened:
            head = connection.recv(4096)
            assert head.startswith(b"HTTP/1.1 200 "), head
        yield
        for connection in opened:
            connection.setblocking(False)
            assert connection.recv(4096), "a stream was closed"


class _Listener:
    """One SSE stream a person, on a loop of its own; keeps how long each fill was on its way."""

    def __init__(self, url: str, people: Sequence[Person]) -> None:
        self.waits_s: list[float] = []
        self._url = url
        self._people = people
        self._open = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def start(self) -> None:
        """Return when every stream is open."""
        self._thread.start()
        self._listening = asyncio.run_coroutine_threadsafe(self._listen_all(), self._loop)
        deadline = time.monotonic() + READY_S
        while self._open < len(self._people):
            assert time.monotonic() < deadline, f"{self._open} streams are open"
            time.sleep(0.05)

    def wait_for_fills(self, count: int) -> None:
        """Until so many were told."""
        deadline = time.monotonic() + READY_S
        while len(self.waits_s) < count:
            assert time.monotonic() < deadline, f"{len(self.waits_s)} of {count} fills were told"
            time.sleep(0.05)

    def stop(self) -> None:
        """Close every stream."""
        self._listening.cancel()
        time.sleep(0.2)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    async def _listen_all(self) -> None:
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(self._url, connector=connector, timeout=timeout) as session:
            await asyncio.gather(*(self._listen(session, person) for person in self._people))

    async def _listen(self, session: aiohttp.ClientSession, person: Person) -> None:
        async with session.get("/api/v1/events", headers={"Authorization": f"Bearer {person.token}"}) as answer:
            assert answer.status == 200
            self._open += 1
            async for line in answer.content:
                if line.startswith(b"data: "):
                    self._hear(json.loads(line[6:]))

    def _hear(self, event: dict[str, Any]) -> None:
        if event["kind"] == "order.updated" and event["data"]["status"] == "FILLED":
            self.waits_s.append(time.time() - datetime.fromisoformat(event["at"]).timestamp())
