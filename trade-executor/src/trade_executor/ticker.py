"""The ticker in a child process, because its reactor cannot be started twice, and a watchdog that starts another.

The child writes a JSON line for what it hears: ``{"ticks": [[token, last, close], …]}`` in paise, ``{"order": id}``,
or ``{}`` for a heartbeat: marks and hints, never facts about an order. The SDK sends no pings and does not notice a
dead socket, so silence is what the parent watches. The child runs in Indian time: the SDK's tick times are naive.
"""

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from saras_common.confidential import plain_environment
from saras_common.money import paise_from
from trade_executor.broker import Quote

_log = logging.getLogger(__name__)

SILENCE_S = 10.0
"""A ticker that says nothing for so long is dead: the broker sends a heartbeat a second."""

RESTART_S = 2.0


@dataclass(frozen=True, slots=True)
class TickerTarget:
    """What a child needs; handed over on its standard input, never on its command line."""

    url: str
    api_key: str
    access_token: str
    tokens: dict[int, str]
    """Instrument by token."""


class TickerWatch:
    """Keeps one child listening; marks go to ``on_quotes``, an order's news to ``on_order``."""

    def __init__(
        self,
        target: Callable[[], TickerTarget | None],
        on_quotes: Callable[[dict[str, Quote]], None],
        on_order: Callable[[], None],
    ) -> None:
        self.restarts = 0
        self._target = target
        self._on_quotes = on_quotes
        self._on_order = on_order
        self._heard = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None

    def kill_child(self) -> None:
        """End the child at work; another takes its place."""
        if self._child is not None:
            self._child.kill()

    def run(self, stop: threading.Event) -> None:
        """Listen until ``stop``; a child that dies or falls silent is replaced."""
        while not stop.is_set():
            target = self._target()
            if target is None or not target.tokens:
                stop.wait(RESTART_S)
                continue
            self._listen(target, stop)
            if not stop.is_set():
                self.restarts += 1
                stop.wait(RESTART_S)

    def _listen(self, target: TickerTarget, stop: threading.Event) -> None:
        child = self._child = start_child(target)
        reader = threading.Thread(target=self._read, args=(child, target), name="ticker", daemon=True)
        reader.start()
        try:
            while not stop.is_set() and child.poll() is None:
                self._heard.clear()
                for _ in range(int(SILENCE_S)):
                    if self._heard.wait(1.0) or stop.is_set() or child.poll() is not None:
                        break
                else:
                    _log.warning("the ticker fell silent")
                    return
                if self._target() != target:
                    return  # another login, or other instruments
                stop.wait(1.0)
        finally:
            child.kill()
            child.wait()
            if child.stdin is not None:
                child.stdin.close()
            reader.join(timeout=2)

    def _read(self, child: "subprocess.Popen[bytes]", target: TickerTarget) -> None:
        assert child.stdout is not None  # noqa: S101 - it was started with a pipe
        with child.stdout as lines:
            for line in lines:
                self._heard.set()
                self._take(line, target)

    def _take(self, line: bytes, target: TickerTarget) -> None:
        try:
            said = json.loads(line)
        except ValueError:
            return
        if "order" in said:
            self._on_order()
        quotes = {
            target.tokens[token]: Quote(last, close or None)
            for token, last, close in said.get("ticks", ())
            if token in target.tokens and last > 0
        }
        if quotes:
            self._on_quotes(quotes)


def start_child(target: TickerTarget) -> "subprocess.Popen[bytes]":
    """A ticker process for ``target``; it ends when its standard input closes."""
    child = subprocess.Popen(
        [sys.executable, "-m", "trade_executor.ticker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**plain_environment(), "TZ": "Asia/Kolkata"},
    )
    assert child.stdin is not None  # noqa: S101 - it was started with a pipe
    told = {"url": target.url, "key": target.api_key, "token": target.access_token, "tokens": list(target.tokens)}
    child.stdin.write(json.dumps(told).encode() + b"\n")
    child.stdin.flush()
    return child


def _exact(rupees: float) -> int:
    return paise_from(f"{rupees:.2f}")


def main() -> None:
    """The child: connect, subscribe, write lines until the parent goes."""
    from kiteconnect import KiteTicker

    told = json.loads(sys.stdin.readline())
    ticker = KiteTicker(told["key"], told["token"], root=told["url"], reconnect=True, debug=False)
    tokens: Sequence[int] = told["tokens"]
    out = sys.stdout.buffer

    def say(**what: Any) -> None:
        out.write(json.dumps(what).encode() + b"\n")
        out.flush()

    def on_connect(socket: Any, _response: Any) -> None:
        socket.subscribe(tokens)
        socket.set_mode(socket.MODE_QUOTE, tokens)
        say()

    def on_ticks(_socket: Any, ticks: Iterable[dict[str, Any]]) -> None:
        say(
            ticks=[
                [
                    tick["instrument_token"],
                    _exact(tick["last_price"]),
                    _exact(tick["ohlc"]["close"]) if "ohlc" in tick else 0,
                ]
                for tick in ticks
            ]
        )

    ticker.on_connect = on_connect
    ticker.on_ticks = on_ticks
    ticker.on_order_update = lambda _socket, order: say(order=str(order.get("order_id", "")))
    ticker.on_message = lambda _socket, _payload, is_binary: say() if is_binary else None
    threading.Thread(target=_end_with_parent, daemon=True).start()
    ticker.connect()


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
