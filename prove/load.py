"""Campaign 9, its second half: clients that are slow on purpose or send more than they should, and a healthy one.

The slow ones are a process of their own. Their minutes alternate with quiet ones, so that whatever else the machine
does is in both; what is compared is the healthy client's p99 in the one and the other.
"""

import asyncio
import contextlib
import gzip
import itertools
import multiprocessing
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from urllib.parse import urlsplit

import psutil
from prove.campaign import Campaign, Outcome, Run
from prove.door import BASE, Person, enrol, platform
from prove.wire import Line, Request, Silent

from api_gateway.routes import BATCH_BYTES, SMALL_BYTES
from saras.process import PlatformProcess
from saras_common.jsonio import MAX_REQUEST_CONTAINERS, MAX_REQUEST_VALUES

HALF_OPEN, SLOW_BODIES, SLOW_READERS, SLOW_STREAMS = 1_000, 300, 100, 18
BOMBS_A_SECOND = 4
HEALTHY_A_SECOND = 60
USERS, WINDOW_S = 12, 3.0
SETTLE_S = 1.5
MOST_MORE_BYTES = 300 * 2**20
"""How much memory all this may cost the platform."""
MOST_TIMES_SLOWER = 2.0
_JSON_HEAD = "Content-Type: application/json\r\n"


@dataclass(frozen=True, slots=True)
class Target:
    """Whom to bother, and as whom."""

    host: str
    port: int
    tokens: tuple[str, ...]

    def head(self, method: str, path: str, number: int, more: str = "") -> bytes:
        """The first lines of a request, without the empty one."""
        token = self.tokens[number % len(self.tokens)]
        lines = f"{method} {BASE}{path} HTTP/1.1\r\nHost: {self.host}\r\nAuthorization: Bearer {token}\r\n{more}"
        return lines.encode()


Slowness = Callable[[Target, int], Awaitable[None]]
"""One hostile client; ended by being cancelled."""


async def _open(target: Target, *, small_buffer: bool = False) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    sock = socket.socket()
    sock.setblocking(False)
    if small_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    await asyncio.get_running_loop().sock_connect(sock, (target.host, target.port))
    return await asyncio.open_connection(sock=sock, limit=4096)


async def _half_open(target: Target, number: int) -> None:
    reader, writer = await _open(target)
    writer.write(b"" if number % 3 == 0 else target.head("GET", "/funds", number)[: 7 + number % 60])
    await reader.read()


async def _slow_body(target: Target, number: int) -> None:
    _reader, writer = await _open(target)
    writer.write(target.head("POST", "/buy", number, f"{_JSON_HEAD}Content-Length: 5000\r\n") + b"\r\n{")
    while True:
        await asyncio.sleep(1)
        writer.write(b" ")
        await writer.drain()


async def _slow_reader(target: Target, number: int) -> None:
    _reader, writer = await _open(target, small_buffer=True)
    await asyncio.sleep(number / SLOW_READERS)
    for _ in range(2):  # pipelined: a megabyte waits for somebody who does not read
        writer.write(target.head("GET", "/openapi.json", number) + b"\r\n")
    await asyncio.sleep(3600)


async def _slow_stream(target: Target, number: int) -> None:
    _reader, writer = await _open(target, small_buffer=True)
    writer.write(target.head("GET", "/events", number) + b"\r\n")
    await asyncio.sleep(3600)


async def _sends(target: Target, number: int, bodies: list[tuple[str, bytes]], more: str = "") -> None:
    """``bodies`` to their paths in turn, ``BOMBS_A_SECOND`` of them over all who send."""
    for path, body in itertools.cycle(bodies):
        started = time.monotonic()
        reader, writer = await _open(target)
        with contextlib.suppress(OSError):
            writer.write(target.head("POST", path, number, f"{_JSON_HEAD}{more}Content-Length: {len(body)}\r\n"))
            writer.write(b"Connection: close\r\n\r\n" + body)
            await writer.drain()
            await reader.read()
        writer.close()
        await asyncio.sleep(max(0.0, SENDERS / BOMBS_A_SECOND - (time.monotonic() - started)))


SENDERS = 4
_GZIP = gzip.compress(b" " * 50_000_000)


def bombs(most_bytes: int) -> list[bytes]:
    """Bodies as large as a call may have, each dear to read: many objects, keys, decimals, escapes, depth, digits.

    The last are as large as the limits of what is in a body let through.
    """
    return [
        b'{"orders": [' + b",".join([b"{}"] * (most_bytes // 3 - 20)) + b'], "atomic": true}',
        b"{" + b",".join(b'"k%06d":0' % number for number in range(most_bytes // 12)) + b"}",
        b'{"orders": [' + b",".join([b"1.5"] * (most_bytes // 4 - 20)) + b"]}",
        b'{"orders": "' + b"\\u0041" * (most_bytes // 6 - 20) + b'"}',
        b"[" * (most_bytes - 1),
        b"9" * (most_bytes - 1),
        b'{"orders": [' + b",".join([b"{}"] * (MAX_REQUEST_CONTAINERS - 2)) + b"]}",
        b"{" + b",".join(b'"k%06d":0' % number for number in range(min(MAX_REQUEST_VALUES, most_bytes // 12))) + b"}",
        b'{"orders": [' + b",".join([b"1.5"] * min(MAX_REQUEST_VALUES, most_bytes // 4 - 20)) + b"]}",
    ]


BOMBS = [("/buy", bomb) for bomb in bombs(SMALL_BYTES)] + [("/orders/batch", bomb) for bomb in bombs(BATCH_BYTES)]


async def _json_bomb(target: Target, number: int) -> None:
    await _sends(target, number, BOMBS[number::SENDERS])


async def _gzip_bomb(target: Target, number: int) -> None:
    await _sends(target, number, [("/buy", _GZIP)], "Content-Encoding: gzip\r\n")


async def _too_much(target: Target, number: int) -> None:
    await _sends(target, number, [("/buy", b"x" * 10_000_000)])


ATTACKS: Mapping[str, tuple[Slowness, int]] = {
    "half-open sockets": (_half_open, HALF_OPEN),
    "slow bodies": (_slow_body, SLOW_BODIES),
    "slow readers of big answers": (_slow_reader, SLOW_READERS),
    "slow readers of streams": (_slow_stream, SLOW_STREAMS),
    "JSON bombs": (_json_bomb, SENDERS),
    "gzip bombs": (_gzip_bomb, SENDERS),
    "bodies of 10 MB": (_too_much, SENDERS),
}
"""What one client does, and how many do it."""


def attack(name: str, target: Target, on: Event, quiet: Event, end: Event) -> None:
    """In a process of its own: at it while ``on`` is set, ``quiet`` set while nobody is, until ``end`` is set."""
    asyncio.run(_attack(name, target, on, quiet, end))


async def _attack(name: str, target: Target, on: Event, quiet: Event, end: Event) -> None:
    slowness, count = ATTACKS[name]
    while not end.is_set():
        quiet.set()
        while not on.is_set() and not end.is_set():  # noqa: ASYNC110 - set by another process
            await asyncio.sleep(0.02)
        quiet.clear()
        clients = [asyncio.create_task(_again(slowness, target, number)) for number in range(count)]
        while on.is_set() and not end.is_set():  # noqa: ASYNC110 - cleared by another process
            await asyncio.sleep(0.02)
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)


async def _again(slowness: Slowness, target: Target, number: int) -> None:
    """Whoever is cut off comes back."""
    while True:
        with contextlib.suppress(OSError):
            await slowness(target, number)
        await asyncio.sleep(0.5)


# --- the healthy client


CALLS = (("GET", "/funds", None), ("GET", "/orders?limit=10", None), ("GET", "/me", None), ("GET", "/portfolio", None))


class Healthy:
    """Calls at a steady rate whatever the answers take, and remembers how long each took, in seconds."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self.failed: list[str] = []

    async def measure(self, seconds: float) -> list[float]:
        """Times of answers during the next ``seconds``."""
        lines = [Line(self._target.host, self._target.port, timeout_s=20.0) for _ in range(6)]
        free: asyncio.Queue[Line] = asyncio.Queue()
        for line in lines:
            free.put_nowait(line)
        took: list[float] = []
        tasks, started = [], time.monotonic()
        for number in range(int(seconds * HEALTHY_A_SECOND)):
            await asyncio.sleep(max(0.0, started + number / HEALTHY_A_SECOND - time.monotonic()))
            tasks.append(asyncio.create_task(self._one(free, number, took)))
        await asyncio.gather(*tasks)
        for line in lines:
            line.close()
        return took

    async def _one(self, free: "asyncio.Queue[Line]", number: int, took: list[float]) -> None:
        started = time.monotonic()
        method, path, body = CALLS[number % len(CALLS)]
        line = await free.get()
        token = self._target.tokens[number % len(self._target.tokens)]
        request = Request(method, BASE + path, body, {"Authorization": f"Bearer {token}"})
        try:
            answer = await line.ask(request)
            if answer.status != 200:
                self.failed.append(f"{method} {path} answered {answer.status}")
        except Silent as silence:
            self.failed.append(f"{method} {path}: {silence}")
        took.append(time.monotonic() - started)
        free.put_nowait(line)


def under_load(at: PlatformProcess, people: list[Person], *, rounds: int, window_s: float) -> Outcome:
    """Each attack in ``rounds`` windows of ``window_s`` seconds, each beside a quiet window as long."""
    outcome, parts = Outcome(), urlsplit(at.url)
    tokens = tuple(person.token for person in people)
    half = len(tokens) // 2
    healthy = Healthy(Target(str(parts.hostname), parts.port or 80, tokens[:half]))
    bothered = Target(str(parts.hostname), parts.port or 80, tokens[half:])
    assert at.process is not None
    process = psutil.Process(at.process.pid)
    asyncio.run(healthy.measure(1.0))
    before = most = process.memory_info().rss
    for name, (_, count) in ATTACKS.items():
        quiet, loud, peak = _compare(name, healthy, bothered, process, rounds, window_s)
        most = max(most, peak)
        outcome.counts[f"{name}: hostile clients"] = count
        outcome.counts["healthy calls measured"] += len(quiet) + len(loud)
        usual, beside = p99(quiet), p99(loud)
        outcome.figures[f"{name}: healthy p99, quiet, ms"] = round(usual * 1000, 1)
        outcome.figures[f"{name}: healthy p99 beside, ms"] = round(beside * 1000, 1)
        outcome.figures[f"{name}: times slower"] = round(beside / usual, 2)
        if beside >= MOST_TIMES_SLOWER * usual:
            outcome.missed.append(f"beside {name} the healthy p99 was {beside / usual:.1f} times the usual")
    outcome.violate(*healthy.failed)
    outcome.figures["memory of the platform before the load, MB"] = round(before / 2**20)
    outcome.figures["memory of the platform, most, MB"] = round(most / 2**20)
    if most - before > MOST_MORE_BYTES:
        outcome.violate(f"the load cost {(most - before) / 2**20:.0f} MB")
    return outcome


def _compare(
    name: str, healthy: Healthy, bothered: Target, process: psutil.Process, rounds: int, window_s: float
) -> tuple[list[float], list[float], int]:
    """Times in quiet windows and beside the attack, and the most memory seen."""
    spawn = multiprocessing.get_context("spawn")
    on, quiet_now, end = spawn.Event(), spawn.Event(), spawn.Event()
    attacker = spawn.Process(target=attack, args=(name, bothered, on, quiet_now, end), daemon=True)
    attacker.start()
    quiet: list[float] = []
    loud: list[float] = []
    peak = 0
    try:
        for _ in range(rounds):
            quiet_now.wait(30)
            time.sleep(SETTLE_S)
            quiet += asyncio.run(healthy.measure(window_s))
            on.set()
            time.sleep(SETTLE_S)
            loud += asyncio.run(healthy.measure(window_s))
            peak = max(peak, process.memory_info().rss)
            on.clear()
            time.sleep(0.1)
    finally:
        end.set()
        attacker.join(10)
        if attacker.is_alive():
            attacker.kill()
    return quiet, loud, peak


def p99(times: list[float]) -> float:
    """The time that one in a hundred exceeds."""
    ranked = sorted(times)
    return ranked[min(len(ranked) - 1, int(len(ranked) * 0.99))]


def play(run: Run) -> Outcome:
    """``run.size`` windows of each attack."""
    with platform() as at:
        people, _ = enrol(at, USERS)
        return under_load(at, people, rounds=run.size, window_s=WINDOW_S)


CAMPAIGN = Campaign(
    number=9,
    target="1,000 half-open sockets, slow bodies, slow readers of answers and of streams, JSON and gzip bombs, bodies"
    " of 10 MB: beside each a healthy client's p99 below twice that of the quiet windows in between, none of its calls"
    " failing, and memory bounded",
    size=6,
    bound_s=600,
    play=play,
)
