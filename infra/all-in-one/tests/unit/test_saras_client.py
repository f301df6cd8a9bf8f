import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from saras.client import Api, Http, NotReachable
from saras.errors import CommandFailed
from saras.ports import free_ports


class Scripted(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    answers: ClassVar[list] = []
    seen: ClassVar[list] = []

    def do_GET(self):
        self.answer()

    def do_POST(self):
        self.answer()

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.seen.append((self.command, self.path, dict(self.headers), json.loads(body) if body else None))
        status, headers, content = self.answers.pop(0)
        if status == 0:
            self.close_connection = True
            return
        raw = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(raw)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    Scripted.answers, Scripted.seen = [], []
    with ThreadingHTTPServer(("127.0.0.1", 0), Scripted) as httpd:
        httpd.daemon_threads = True
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
        thread.join()


def test_login_then_calls_carry_token_and_key(server):
    Scripted.answers = [(200, {}, {"access_token": "tok"}), (202, {}, {"id": "1"})]
    with Api(server) as api:
        api.login("a@b", "pw")
        assert api.post("/buy", {"quantity": 1}, key="k1") == {"id": "1"}
    method, path, headers, body = Scripted.seen[1]
    assert (method, path, body) == ("POST", "/api/v1/buy", {"quantity": 1})
    assert headers["Authorization"] == "Bearer tok"
    assert headers["Idempotency-Key"] == "k1"


def test_too_many_requests_is_waited_out(server):
    Scripted.answers = [(429, {"Retry-After": "0"}, {}), (200, {}, {"n": 1})]
    with Api(server) as api:
        assert api.get("/x") == {"n": 1}


def test_a_problem_is_told_in_its_own_words(server):
    Scripted.answers = [(422, {}, {"code": "insufficient_funds", "detail": "Not enough cash"})]
    with Api(server) as api, pytest.raises(CommandFailed, match="422 insufficient_funds Not enough cash"):
        api.post("/buy", {})


def test_pages_are_followed(server):
    Scripted.answers = [
        (200, {}, {"items": [1, 2], "next_cursor": "c+/="}),
        (200, {}, {"items": [3], "next_cursor": None}),
    ]
    with Api(server) as api:
        assert list(api.pages("/orders", status="FILLED")) == [1, 2, 3]
    assert Scripted.seen[1][1] == "/api/v1/orders?limit=500&status=FILLED&cursor=c%2B%2F%3D"


def test_an_idle_connection_that_was_closed_is_opened_again(server):
    Scripted.answers = [(200, {"Connection": "close"}, {"n": 1}), (200, {}, {"n": 2}), (0, {}, {}), (200, {}, {"n": 3})]
    with Http(server) as http:
        assert [http.send("GET", "/").body["n"] for _ in range(3)] == [1, 2, 3]


def test_a_post_without_a_key_is_never_sent_twice(server):
    Scripted.answers = [(200, {}, {}), (0, {}, {})]
    with Http(server) as http:
        http.send("GET", "/")
        with pytest.raises(NotReachable):
            http.send("POST", "/buy", {})
    assert len(Scripted.seen) == 2


def test_nobody_there_is_said_plainly():
    with Http(f"http://127.0.0.1:{free_ports(1)[0]}") as http, pytest.raises(NotReachable, match="does not answer"):
        http.send("GET", "/")
