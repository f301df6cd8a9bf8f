"""`GET /ws` over real sockets: who comes in and by which door, the same events as SSE, quotes, and the ends."""

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from api_gateway.streams.feed import event_id
from api_gateway.streams.websocket import MOST_SIGNING_IN
from saras_common.testing.hostile_tokens import hostile_tokens

INTERNAL_KEY = b"k" * 40
KEY_HEADER = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="


class Client:
    """One connection that keeps what it heard."""

    def __init__(self, platform, token=None, *, first=None, query="", headers=None, protocols=None):
        self._first = first
        self._connecting = {
            "uri": f"ws://127.0.0.1:{platform.port}/api/v1/ws{query}",
            "additional_headers": ({"Authorization": f"Bearer {token}"} if token else {}) | (headers or {}),
            "subprotocols": protocols,
            "compression": None,
        }

    def __enter__(self):
        self._connection = connect(**self._connecting)
        self.socket = self._connection.__enter__()
        if self._first is not None:
            self.say(type="auth", token=self._first)
        return self

    def __exit__(self, *raised):
        self._connection.__exit__(*raised)

    def say(self, **document):
        self.socket.send(json.dumps(document))

    def hear(self, kind, timeout_s=5):
        """The next message, which must be of this type."""
        heard = json.loads(self.socket.recv(timeout_s))
        assert heard["type"] == kind, heard
        return heard

    def ended(self, timeout_s=5):
        """The close code, after whatever else still comes."""
        deadline = time.monotonic() + timeout_s
        try:
            while True:
                self.socket.recv(deadline - time.monotonic())
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else None


@pytest.fixture
def live(platform_with):
    def make(**settings):
        platform = platform_with(**settings)
        platform.feed = platform.services["notification-service"].feed
        return platform

    return make


def value(platform, name, **labels):
    return platform.metrics.registry.get_sample_value(name, labels) or 0


def wait_for(condition, timeout_s=5.0):
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < timeout_s
        time.sleep(0.01)
    return time.monotonic() - started


def test_a_token_comes_by_header_by_subprotocol_or_in_the_first_message(live, people):
    platform, me = live(), people.identity()
    token = people.token(identity=me)
    ways = {"header": {"token": token}, "protocol": {"protocols": ["bearer", token]}, "message": {"first": token}}
    for number, terms in enumerate(ways.values()):
        with Client(platform, **terms) as client:
            ready = client.hear("ready")
            assert ready == {"type": "ready", "id": event_id(number), "user_id": str(me.user_id)}
            assert client.socket.subprotocol == ("bearer" if "protocols" in terms else None)
            platform.feed.add(me.user_id, number)
            assert client.hear("event")["data"]["number"] == number
    wait_for(lambda: b"".join(platform.log).count(b'"GET /api/v1/ws 101"') == 3)
    assert str(me.user_id).encode() in platform.log[-1]
    assert token.encode() not in b"".join(platform.log)


def test_hostile_tokens_open_no_socket(live, people):
    platform = live()
    tokens = hostile_tokens(people.token("user", "admin"), people.keys[-1], internal_key=INTERNAL_KEY)
    assert len(tokens) >= 120

    def status_of(case):
        name, token, way = case
        line = f"Authorization: Bearer {token}" if way == "header" else f"Sec-WebSocket-Protocol: bearer, {token}"
        return handshake(platform, line).split(b" ", 2)[1], name, way

    cases = [(name, token, way) for name, token in tokens for way in ("header", "protocol")]
    with ThreadPoolExecutor(4) as pool:
        wrong = [answer for answer in pool.map(status_of, cases) if answer[0] != b"401"]
    assert not wrong
    for _, token in tokens[::10]:
        with Client(platform, first=token) as client:
            assert client.ended() == 4401


def handshake(platform, *lines, method="GET", path="/api/v1/ws"):
    """The whole answer to a handshake with these lines added."""
    usual = ["Host: x", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", KEY_HEADER]
    return platform.raw("\r\n".join([f"{method} {path} HTTP/1.1", *usual, *lines, "", ""]).encode("latin-1"))


@pytest.mark.parametrize(
    "terms",
    [
        {"query": "?token={}"},
        {"query": "?access_token={}"},
        {"headers": {"Cookie": "token={}"}},
        {"headers": {"X-Internal-Token": "{}"}},
    ],
)
def test_a_token_anywhere_else_is_not_looked_at(live, people, terms):
    platform = live(stream_sign_in_s=0.3)
    token = people.token()
    terms = json.loads(json.dumps(terms).replace("{}", token))
    with Client(platform, **terms) as client:
        assert client.ended() == 4401
    assert token.encode() not in b"".join(platform.log)


def test_refusals_are_problems(live, people):
    platform = live(stream_user_limit=1)
    token = people.token()
    for line in (
        "Authorization: Basic eDp4",
        "Sec-WebSocket-Protocol: bearer",
        f"Sec-WebSocket-Protocol: {token}, bearer",
    ):
        assert handshake(platform, line).startswith(b"HTTP/1.1 401 ")
    with Client(platform, token) as client:
        client.hear("ready")
        with pytest.raises(InvalidStatus) as refused, Client(platform, token):
            pass
        assert refused.value.response.status_code == 429
        assert json.loads(refused.value.response.body)["code"] == "too_many_streams"
        with Client(platform, first=token) as late:
            assert late.ended() == 1013


@pytest.mark.parametrize(
    ("terms", "status", "code"),
    [
        ({"method": "POST"}, 400, "bad_handshake"),
        ({"lines": ["Sec-WebSocket-Version: 8"]}, 400, "bad_handshake"),
        ({"lines": ["Sec-WebSocket-Key: x"]}, 400, "bad_handshake"),
        ({"lines": ["Host: y"]}, 400, "bad_request"),
        ({"lines": [f"X-Large: {'x' * 9000}"]}, 431, "headers_too_large"),
        ({"lines": [f"X-{number}: x" for number in range(70)]}, 431, "headers_too_large"),
        ({"path": "/api/v1/ws?last_event_id=x"}, 401, "unauthenticated"),
        ({"path": "/api/v1/ws?x=%ff"}, 400, "bad_request"),
        ({"path": "/api/v1/orders"}, 501, "websocket_unavailable"),
        ({"path": "/api/v1/ws/x"}, 501, "websocket_unavailable"),
        ({"path": "/api/v1//ws"}, 501, "websocket_unavailable"),
    ],
)
def test_bad_handshakes_are_refused_cleanly(live, people, terms, status, code):
    head, _, body = handshake(live(), "Authorization: Bearer x", *terms.pop("lines", ()), **terms).partition(
        b"\r\n\r\n"
    )
    assert head.startswith(f"HTTP/1.1 {status} ".encode()), head
    assert b"application/problem+json" in head.lower()
    assert json.loads(body)["code"] == code


def test_it_goes_on_after_the_last_id(live, people):
    platform, me, other = live(), people.identity(), people.identity()
    for number in range(1500):
        platform.feed.add(me.user_id if number % 3 else other.user_id, number)
    token = people.token(identity=me)
    wanted = [number for number in range(600, 1500) if number % 3]
    for terms in ({"headers": {"Last-Event-ID": event_id(600)}}, {"query": f"?last_event_id={event_id(600)}"}):
        with Client(platform, token, **terms) as client:
            assert client.hear("ready")["id"] == event_id(600)
            assert [client.hear("event")["data"]["number"] for _ in wanted] == wanted
            platform.feed.add(me.user_id, "live")
            assert client.hear("event")["data"]["number"] == "live"
        platform.feed.rows.pop()
        platform.feed.add(other.user_id, "nothing")
    with pytest.raises(InvalidStatus) as refused, Client(platform, token, query="?last_event_id=x"):
        pass
    assert refused.value.response.status_code == 422


def test_quotes_come_on_subscription_and_when_they_change(live, people):
    platform = live(stream_quotes_s=0.05)
    prices = platform.services["trade-executor"].prices
    prices.update({"NSE:INFY": "1500.00", "NSE:TCS": "3000.00", "NSE:M&M": "2000.00"})
    with Client(platform, people.token()) as client:
        client.hear("ready")
        client.say(type="subscribe", instruments=["NSE:INFY", "NSE:M&M"])
        assert client.hear("subscribed")["instruments"] == ["NSE:INFY", "NSE:M&M"]
        first = client.hear("quotes")["items"]
        assert {item["instrument"]: item["last_price"] for item in first} == {
            "NSE:INFY": "1500.00",
            "NSE:M&M": "2000.00",
        }
        prices["NSE:TCS"] = "3001.00"
        prices["NSE:INFY"] = "1501.00"
        assert [item["last_price"] for item in client.hear("quotes")["items"]] == ["1501.00"]
        client.say(type="unsubscribe", instruments=["NSE:INFY"])
        assert client.hear("subscribed")["instruments"] == ["NSE:M&M"]
        prices["NSE:INFY"] = "1502.00"
        prices["NSE:M&M"] = "2001.00"
        assert [item["instrument"] for item in client.hear("quotes")["items"]] == ["NSE:M&M"]


def test_what_cannot_be_understood_is_answered_and_too_much_of_it_ends_it(live, people):
    wrong = [
        "",
        "x",
        "[]",
        "{}",
        '{"type":"order"}',
        '{"type":"subscribe","instruments":[]}',
        '{"type":1}',
        "1",
    ]
    with Client(live(), people.token()) as client:
        client.hear("ready")
        for text in [*wrong, '{"type":"subscribe","instruments":["x"]}']:
            client.socket.send(text)
            assert client.hear("error")["code"] == "bad_message"
        client.socket.send(b"\x00")
        assert client.ended() == 1008
    with Client(live(), people.token()) as client:
        client.hear("ready")
        client.socket.send("x" * 100_000)
        assert client.ended() == 1009


def test_a_connection_may_follow_five_hundred_instruments(live, people):
    with Client(live(), people.token()) as client:
        client.hear("ready")
        names = [f"NSE:A{number}" for number in range(501)]
        client.say(type="subscribe", instruments=names[:500])
        client.hear("subscribed")
        client.say(type="subscribe", instruments=names[500:])
        assert client.hear("error")["code"] == "bad_message"


@pytest.mark.parametrize("how", ["session", "user"])
def test_it_ends_within_a_second_of_its_session(live, people, how):
    platform, me = live(), people.identity()
    with Client(platform, people.token(identity=me)) as client, Client(platform, people.token()) as other:
        client.hear("ready")
        other.hear("ready")
        if how == "session":
            people.sessions.append(me.session_id)
        else:
            people.users.append({"user_id": str(me.user_id), "min_version": 2})
        started = time.monotonic()
        assert client.ended() == 4401
        assert time.monotonic() - started < 1
        other.say(type="subscribe", instruments=["NSE:INFY"])
        other.hear("subscribed")


def test_a_fresh_token_lets_it_live_on_and_somebody_else_s_ends_it(live, people):
    platform, me = live(), people.identity()
    with Client(platform, people.token(identity=me, ttl_s=2)) as client:
        client.hear("ready")
        client.say(type="auth", token=people.token(identity=me))
        time.sleep(2.5)
        platform.feed.add(me.user_id, 1)
        client.hear("event")
        client.say(type="auth", token=people.token())
        assert client.ended() == 4401


def test_whoever_does_not_sign_in_is_sent_away(live, people):
    platform = live(stream_sign_in_s=0.3)
    with Client(platform) as silent, Client(platform) as talking:
        talking.say(type="subscribe", instruments=["NSE:INFY"])
        assert talking.ended() == 4401
        assert silent.ended() == 4401


def test_strangers_cannot_fill_the_house(live, people):
    platform = live(stream_sign_in_s=20)
    lines = ["GET /api/v1/ws HTTP/1.1", "Host: x", "Connection: Upgrade", "Upgrade: websocket"]
    head = "\r\n".join([*lines, "Sec-WebSocket-Version: 13", KEY_HEADER, "", ""]).encode()
    with ExitStack() as stack:
        for _ in range(MOST_SIGNING_IN):
            stranger = stack.enter_context(platform.connect())
            stranger.sendall(head)
            assert stranger.recv(4096).startswith(b"HTTP/1.1 101 ")
        assert handshake(platform).startswith(b"HTTP/1.1 503 ")
        with Client(platform, people.token()) as client:
            client.hear("ready")
    wait_for(lambda: handshake_status(platform, head) == b"101")


def handshake_status(platform, head):
    with platform.connect() as sock:
        sock.sendall(head)
        return sock.recv(4096).split(b" ")[1]


def test_a_reader_that_does_not_read_is_dropped(live, people):
    platform, me = live(stream_buffer_bytes=512 * 1024), people.identity()
    with socket.socket() as stuck, Client(platform, people.token(identity=me)) as healthy:
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.connect(("127.0.0.1", platform.port))
        lines = ["GET /api/v1/ws HTTP/1.1", "Host: x", "Connection: Upgrade", "Upgrade: websocket"]
        lines += ["Sec-WebSocket-Version: 13", KEY_HEADER, f"Authorization: Bearer {people.token(identity=me)}", "", ""]
        stuck.sendall("\r\n".join(lines).encode())
        wait_for(lambda: value(platform, "saras_gateway_streams") == 2)
        healthy.hear("ready")
        heard = []
        reader = threading.Thread(
            target=lambda: heard.extend(healthy.hear("event", 20)["data"]["number"] for _ in range(2000))
        )
        reader.start()
        for number in range(2000):
            platform.feed.add(me.user_id, number, padding="x" * 3000)
            while len(heard) < number - 50:  # the healthy one keeps up
                time.sleep(0.002)
        reader.join()
        assert heard == list(range(2000))
        wait_for(lambda: value(platform, "saras_gateway_streams_ended_total", reason="slow") == 1)
        wait_for(lambda: value(platform, "saras_gateway_sockets_closed_total", reason="answer_not_taken") == 1)


def test_a_server_that_ends_says_so(live, people):
    platform = live()
    with Client(platform, people.token()) as client:
        client.hear("ready")
        platform.server.should_exit = True
        assert client.ended() == 1012
