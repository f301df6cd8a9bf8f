"""What happened on the wire decides what an answer means (design: kite): a raw socket does each thing once."""

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from trade_executor.broker import Because, BrokerUnavailable, NewOrder, NotAllowed, Outcome
from trade_executor.kite import KiteBroker, Login

ORDER = NewOrder("t" * 20, "NSE:INFY", "BUY", "CNC", "MARKET", "DAY", 5, protection=250)


class Wire:
    """Accepts connections one after another and does what it is told with each request."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.requests: list[bytes] = []
        self.act: Callable[[socket.socket], None] = lambda _connection: None
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(2)
                try:
                    self.requests.append(self._read(connection))
                    self.act(connection)
                except OSError:
                    continue

    @staticmethod
    def _read(connection: socket.socket) -> bytes:
        data = b""
        while b"\r\n\r\n" not in data:
            data += connection.recv(65536)
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(
            (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0
        )
        while len(body) < length:
            body += connection.recv(65536)
        return head + b"\r\n\r\n" + body

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(timeout=5)


@pytest.fixture
def wire() -> Iterator[Wire]:
    server = Wire()
    yield server
    server.close()


def broker_at(port: int, read_s: float = 0.4) -> KiteBroker:
    return KiteBroker(Login(f"http://127.0.0.1:{port}", "key", (0.3, read_s)), "token")


def answer(status: int, body: str, kind: str = "application/json", cut: int = 0) -> Callable[[socket.socket], None]:
    raw = body.encode()
    head = (
        f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(raw) + cut}\r\nConnection: close\r\n\r\n"
    )
    return lambda connection: connection.sendall(head.encode() + raw)


def error(status: int, message: str, error_type: str = "InputException") -> Callable[[socket.socket], None]:
    return answer(status, f'{{"status":"error","message":"{message}","data":null,"error_type":"{error_type}"}}')


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")


def silent(connection: socket.socket) -> None:
    try:
        connection.recv(1)
    except OSError:
        return


REDIRECT = b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

CASES = {
    "an order id": (
        answer(200, '{"status":"success","data":{"order_id":"1234567890123456789"}}'),
        Outcome.REGISTERED,
        None,
    ),
    "400": (error(400, "Insufficient funds", "MarginException"), Outcome.NO, Because.REFUSED),
    "400 timed out": (error(400, "The request timed out. Check the orderbook"), Outcome.UNKNOWN, None),
    "400 order book": (error(400, "Please check the order book before retrying"), Outcome.UNKNOWN, None),
    "403": (error(403, "Not allowed", "PermissionException"), Outcome.NO, Because.REFUSED),
    "403 token": (error(403, "Incorrect api_key or access_token", "TokenException"), Outcome.NO, Because.LOGIN_NEEDED),
    "404": (error(404, "Route not found", "DataException"), Outcome.NO, Because.REFUSED),
    "405": (error(405, "Method not allowed"), Outcome.NO, Because.REFUSED),
    "429": (error(429, "Too many requests", "NetworkException"), Outcome.NO, Because.TOO_MANY),
    "429 in HTML": (answer(429, "<html>slow down</html>", "text/html"), Outcome.NO, Because.TOO_MANY),
    "500": (error(500, "Something", "GeneralException"), Outcome.UNKNOWN, None),
    "502 in HTML": (answer(502, "<html>bad gateway</html>", "text/html"), Outcome.UNKNOWN, None),
    "503": (error(503, "Busy", "NetworkException"), Outcome.UNKNOWN, None),
    "504": (answer(504, "", "text/plain"), Outcome.UNKNOWN, None),
    "200 with an error": (error(200, "Odd", "GeneralException"), Outcome.UNKNOWN, None),
    "200 without data": (answer(200, '{"status":"success"}'), Outcome.UNKNOWN, None),
    "200 without an id": (answer(200, '{"status":"success","data":{}}'), Outcome.UNKNOWN, None),
    "200 with a list": (answer(200, "[]"), Outcome.UNKNOWN, None),
    "200 not JSON": (answer(200, "{'order_id':"), Outcome.UNKNOWN, None),
    "200 nested without end": (answer(200, "[" * 30_000 + "]" * 30_000), Outcome.UNKNOWN, None),
    "200 in HTML": (answer(200, "<html></html>", "text/html"), Outcome.UNKNOWN, None),
    "400 in HTML": (answer(400, "<html></html>", "text/html"), Outcome.UNKNOWN, None),
    "cut short": (answer(200, '{"status":"success","da', cut=60), Outcome.UNKNOWN, None),
    "redirect": (lambda connection: connection.sendall(REDIRECT), Outcome.UNKNOWN, None),
    "reset after the request": (reset, Outcome.UNKNOWN, None),
    "closed without a word": (lambda _connection: None, Outcome.UNKNOWN, None),
    "silence": (silent, Outcome.UNKNOWN, None),
}


@pytest.mark.parametrize("name", CASES)
def test_what_each_answer_to_an_order_means(wire, name):
    act, outcome, because = CASES[name]
    wire.act = act
    said = broker_at(wire.port).place(ORDER, lambda: None)
    assert (said.outcome, said.because) == (outcome, because)
    assert len(wire.requests) == 1, "nothing is ever sent twice"


def test_a_refused_connection_was_not_sent():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert broker_at(port).place(ORDER, lambda: None).outcome is Outcome.NOT_SENT


def test_an_unknown_name_was_not_sent():
    broker = KiteBroker(Login("http://no-such-host.invalid", "key", (0.5, 0.5)), "token")
    assert broker.place(ORDER, lambda: None).outcome is Outcome.NOT_SENT


def test_a_guard_that_says_no_keeps_the_bytes_here(wire):
    def guard() -> None:
        raise NotAllowed("the lease is over")

    said = broker_at(wire.port).place(ORDER, guard)
    assert said.outcome is Outcome.NOT_SENT
    assert wire.requests == []


def test_what_is_sent(wire):
    wire.act = CASES["an order id"][0]
    broker_at(wire.port).place(ORDER, lambda: None)
    request = wire.requests[0].decode()
    assert request.startswith("POST /orders/regular HTTP/1.1")
    assert "Authorization: token key:token" in request
    assert "X-Kite-Version: 3" in request
    body = dict(pair.split("=") for pair in request.rsplit("\r\n", 1)[1].split("&"))
    assert body["market_protection"] == "2.5"
    assert body["tag"] == ORDER.tag
    assert "price" not in body


def test_market_protection_is_never_left_out(wire):
    wire.act = CASES["an order id"][0]
    for kind, protection, expected in (("MARKET", None, "-1"), ("SL-M", 0, "-1"), ("MARKET", 300, "3")):
        order = NewOrder("t" * 20, "NSE:INFY", "SELL", "CNC", kind, "DAY", 5, None, 100, protection)
        broker_at(wire.port).place(order, lambda: None)
        assert f"market_protection={expected}" in wire.requests[-1].decode()


@pytest.mark.parametrize("name", ["429", "403 token", "500", "cut short", "silence", "redirect", "200 not JSON"])
def test_a_failed_reading_says_so(wire, name):
    wire.act = CASES[name][0]
    with pytest.raises(BrokerUnavailable) as failed:
        broker_at(wire.port).orders()
    assert failed.value.because == (CASES[name][2] if name in {"429", "403 token"} else None)


def test_prices_are_read_exactly(wire):
    wire.act = answer(
        200,
        '{"status":"success","data":[{"trade_id":"7","order_id":"9","exchange":"NSE","tradingsymbol":"INFY",'
        '"transaction_type":"BUY","product":"CNC","quantity":3,"average_price":1523.15,'
        '"fill_timestamp":"2026-03-02 09:15:01","exchange_timestamp":"2026-03-02 09:15:01"}]}',
    )
    trade = broker_at(wire.port).trades()[0]
    assert trade.value_paise == 3 * 152_315
    assert trade.traded_at.isoformat() == "2026-03-02T03:45:01+00:00"


def test_the_client_never_shows_its_token():
    assert "token" not in repr(broker_at(1)).replace("access_token", "")
