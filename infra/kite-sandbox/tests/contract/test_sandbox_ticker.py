"""The ticker, heard by the client library itself, and postbacks with their checksum."""

import hashlib
import json
import queue
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect


class Listener:
    """A child process with a KiteTicker in it."""

    def __init__(self, server, kite, tokens):
        script = Path(__file__).with_name("ticker_client.py")
        root = server.url.replace("http", "ws")
        command = [sys.executable, str(script), root, "sandbox", kite.access_token, json.dumps(tokens)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.heard = queue.Queue()
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.heard.put(json.loads(line))

    def wait_for(self, kind, matches=lambda _value: True, timeout_s=15):
        deadline = time.monotonic() + timeout_s
        while True:
            message = self.heard.get(timeout=max(deadline - time.monotonic(), 0.01))
            if kind in message and matches(message[kind]):
                return message[kind]

    def close(self):
        self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stdout.close()


@pytest.fixture
def tokens(kite):
    return {row["tradingsymbol"]: row["instrument_token"] for row in kite.instruments()}


def test_kite_ticker_hears_ticks_orders_and_heartbeats(server, kite, tokens):
    listener = Listener(
        server,
        kite,
        {"full": [tokens["INFY"]], "ltp": [tokens["SBIN"]], "quote": [tokens["TCS"], tokens["NIFTY 50"]]},
    )
    try:
        listener.wait_for("connected")
        listener.wait_for("ticks")
        listener.wait_for("heartbeat")
        server.post("/sandbox/prices", {"NSE:INFY": "1511.20", "NSE:SBIN": "801.05"})
        ticks = listener.wait_for("ticks", lambda ticks: any(tick["last_price"] == 1511.2 for tick in ticks))
        by_token = {tick["instrument_token"]: tick for tick in ticks}
        assert by_token[tokens["INFY"]]["mode"] == "full"
        assert by_token[tokens["INFY"]]["tradable"]
        assert len(by_token[tokens["INFY"]]["depth"]["sell"]) == 5
        assert by_token[tokens["SBIN"]] == {
            "tradable": True,
            "mode": "ltp",
            "instrument_token": tokens["SBIN"],
            "last_price": 801.05,
        }
        order_id = kite.place_order("regular", "NSE", "INFY", "BUY", 3, "CNC", "MARKET", market_protection=-1, tag="x")
        update = listener.wait_for("order", lambda order: order["status"] == "COMPLETE")
        assert (update["order_id"], update["filled_quantity"], update["tag"]) == (order_id, 3, "x")
        kite.invalidate_access_token()
        listener.wait_for("closed")
    finally:
        listener.close()


def test_a_bad_token_gets_no_socket(server):
    with pytest.raises(InvalidStatus) as refusal:
        connect(server.url.replace("http", "ws") + "/?api_key=sandbox&access_token=bad")
    assert refusal.value.response.status_code == 403


def test_three_sockets_a_key_and_errors_as_text(server, kite, tokens):
    address = server.url.replace("http", "ws") + f"/?api_key=sandbox&access_token={kite.access_token}"
    with connect(address) as one, connect(address), connect(address):
        with pytest.raises(InvalidStatus):
            connect(address)
        one.send("not json")
        assert json.loads(next(text for text in one if isinstance(text, str)))["type"] == "error"
        one.send(json.dumps({"a": "mode", "v": ["full", [tokens["INFY"]]]}))
        frame = next(data for data in one if isinstance(data, bytes) and len(data) > 1)
        assert (frame[:2], frame[2:4], len(frame)) == (b"\x00\x01", b"\x00\xb8", 188)
        one.send(json.dumps({"a": "unsubscribe", "v": [tokens["INFY"]]}))
        server.post("/sandbox/prices", {"NSE:INFY": "1512.00"})
        heard = [one.recv(timeout=3) for _ in range(2)]
        assert heard == [b"\x00", b"\x00"]
    time.sleep(0.2)
    with connect(address):
        pass


def test_hostile_messages_do_not_kill_the_socket(server, kite, tokens):
    address = server.url.replace("http", "ws") + f"/?api_key=sandbox&access_token={kite.access_token}"
    with connect(address) as socket:
        for text in (
            '{"a": "mode", "v": [[], 1]}',
            '{"a": "subscribe", "v": [null, "x", -1]}',
            "[]",
            "null",
            "{}",
            '{"a":1,"v":2}',
        ):
            socket.send(text)
        socket.send(json.dumps({"a": "subscribe", "v": [tokens["INFY"]]}))
        assert any(isinstance(data, bytes) and len(data) == 48 for data in socket)


def hear(socket, times):
    return [socket.recv(timeout=3) for _ in range(times)]


def test_a_killed_session_closes_the_socket(server, kite):
    address = server.url.replace("http", "ws") + f"/?api_key=sandbox&access_token={kite.access_token}"
    with connect(address) as socket:
        kite.invalidate_access_token()
        with pytest.raises(ConnectionClosed):
            hear(socket, 10)


class Receiver(BaseHTTPRequestHandler):
    """Fails the first postback, takes the rest."""

    bodies: ClassVar[list] = []
    calls = 0

    def do_POST(self):
        type(self).calls += 1
        body = self.rfile.read(int(self.headers["content-length"]))
        if type(self).calls == 1:
            self.send_response(503)
        else:
            type(self).bodies.append(json.loads(body))
            self.send_response(200)
        self.end_headers()

    def log_message(self, *_arguments):
        pass


def test_postbacks_arrive_signed_and_are_tried_again(servers, log_in):
    receiver = HTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=receiver.serve_forever)
    thread.start()
    try:
        server = servers(
            SANDBOX_CASH="1000000", SANDBOX_POSTBACK_URL=f"http://127.0.0.1:{receiver.server_port}/postback"
        )
        kite = log_in(server)
        order_id = kite.place_order("regular", "NSE", "INFY", "BUY", 1, "CNC", "MARKET", market_protection=-1)
        waiting = kite.place_order("regular", "NSE", "INFY", "BUY", 1, "CNC", "LIMIT", price=1000)
        kite.cancel_order("regular", waiting)
        deadline = time.monotonic() + 10
        while len(Receiver.bodies) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        receiver.shutdown()
        thread.join()
        receiver.server_close()
    told = {(body["order_id"], body["status"]) for body in Receiver.bodies}
    assert told == {(order_id, "COMPLETE"), (waiting, "CANCELLED")}
    for body in Receiver.bodies:
        signed = body["order_id"] + body["order_timestamp"] + "sandbox-secret"
        assert body["checksum"] == hashlib.sha256(signed.encode()).hexdigest()
        assert body["user_id"] == "ZS0001"
        assert "unfilled_quantity" in body
