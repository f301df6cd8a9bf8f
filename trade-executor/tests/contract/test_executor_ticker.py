"""The ticker's child process against the sandbox's socket: marks, hints, and another child when one dies."""

import threading
import time

import pytest

from trade_executor import kite
from trade_executor.testing.sandbox import SandboxProcess
from trade_executor.ticker import TickerTarget, TickerWatch


@pytest.fixture
def sandbox(tmp_path):
    process = SandboxProcess(tmp_path, SANDBOX_CASH="100000000")
    yield process
    process.stop()


def wait_for(condition, seconds=15.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_marks_hints_and_another_child_when_one_dies(sandbox):
    from trade_executor.broker import NewOrder

    login = kite.Login(sandbox.url, "sandbox")
    token = kite.log_in(login, kite.sandbox_request_token(login), "sandbox-secret")
    broker = kite.KiteBroker(login, token)
    tokens = {row.token: row.instrument for row in broker.instruments() if row.instrument in {"NSE:INFY", "NSE:TCS"}}
    target = TickerTarget(sandbox.url.replace("http", "ws"), "sandbox", token, tokens)
    quotes, orders, stop = {}, [], threading.Event()
    watch = TickerWatch(lambda: target, quotes.update, lambda: orders.append(time.monotonic()))
    thread = threading.Thread(target=watch.run, args=(stop,), daemon=True)
    thread.start()
    try:
        wait_for(lambda: set(quotes) == {"NSE:INFY", "NSE:TCS"})
        sandbox.post("/sandbox/prices", {"NSE:INFY": "1512.35"})
        wait_for(lambda: quotes["NSE:INFY"].last_paise == 151_235)
        broker.place(NewOrder("t" * 20, "NSE:TCS", "BUY", "CNC", "MARKET", "DAY", 1, protection=300), lambda: None)
        wait_for(lambda: orders)
        watch.kill_child()
        sandbox.post("/sandbox/prices", {"NSE:INFY": "1499.05"})
        wait_for(lambda: quotes["NSE:INFY"].last_paise == 149_905)
        assert watch.restarts == 1
    finally:
        stop.set()
        thread.join(timeout=10)


def test_a_silent_socket_is_replaced(monkeypatch):
    """A listener that accepts and never speaks: the SDK would wait for ever, the watchdog does not."""
    import socket

    from trade_executor import ticker

    monkeypatch.setattr(ticker, "SILENCE_S", 2.0)
    monkeypatch.setattr(ticker, "RESTART_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        target = TickerTarget(f"ws://127.0.0.1:{mute.getsockname()[1]}", "key", "token", {1: "NSE:INFY"})
        stop = threading.Event()
        watch = TickerWatch(lambda: target, lambda _quotes: None, lambda: None)
        thread = threading.Thread(target=watch.run, args=(stop,), daemon=True)
        thread.start()
        wait_for(lambda: watch.restarts >= 1, 20)
        stop.set()
        thread.join(timeout=10)
