"""Hostile bytes and hostile patience over raw sockets; a healthy client beside them is served."""

import socket
import threading
import time

import pytest

HEALTHY = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
JSON = b"Content-Type: application/json\r\n"
LOGIN = b"POST /api/v1/login HTTP/1.1\r\n"


@pytest.fixture(scope="module")
def shared_platform(module_people, running):
    impatient = {"header_timeout_s": 0.6, "body_timeout_s": 0.6, "answer_timeout_s": 0.8, "keepalive_timeout_s": 1}
    return running.platform(module_people, **impatient)


FRAMES = {
    "no host": LOGIN + JSON + b"Content-Length: 2\r\n\r\n{}",
    "two hosts": LOGIN + b"Host: a\r\nHost: b\r\n" + JSON + b"Content-Length: 2\r\n\r\n{}",
    "host with a path": LOGIN + b"Host: a/b\r\n" + JSON + b"Content-Length: 2\r\n\r\n{}",
    "length and chunks": LOGIN
    + b"Host: a\r\n"
    + JSON
    + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\n\r\n",
    "chunks and length": LOGIN
    + b"Host: a\r\n"
    + JSON
    + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
    "two lengths": LOGIN + b"Host: a\r\n" + JSON + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "same length twice": LOGIN + b"Host: a\r\n" + JSON + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "listed length": LOGIN + b"Host: a\r\n" + JSON + b"Content-Length: 2, 2\r\n\r\n{}",
    "negative length": LOGIN + b"Host: a\r\n" + JSON + b"Content-Length: -2\r\n\r\n{}",
    "signed length": LOGIN + b"Host: a\r\n" + JSON + b"Content-Length: +2\r\n\r\n{}",
    "hex length": LOGIN + b"Host: a\r\n" + JSON + b"Content-Length: 0x2\r\n\r\n{}",
    "endless length": LOGIN + b"Host: a\r\n" + JSON + b"Content-Length: 99999999999999999999999\r\n\r\n{}",
    "unknown coding": LOGIN + b"Host: a\r\n" + JSON + b"Transfer-Encoding: gzip\r\n\r\n{}",
    "coding before chunks": LOGIN + b"Host: a\r\n" + JSON + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunks twice": LOGIN + b"Host: a\r\n" + JSON + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "chunked misspelt": LOGIN + b"Host: a\r\n" + JSON + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "tab before chunked": LOGIN + b"Host: a\r\n" + JSON + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    "space before colon": LOGIN + b"Host: a\r\n" + JSON + b"Content-Length : 2\r\n\r\n{}",
    "bad chunk size": LOGIN + b"Host: a\r\n" + JSON + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "overlong chunk": LOGIN + b"Host: a\r\n" + JSON + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}{}\r\n0\r\n\r\n",
    "huge chunk size": LOGIN
    + b"Host: a\r\n"
    + JSON
    + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{}\r\n0\r\n\r\n",
    "nul in a header": b"GET /docs HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n",
    "bare lf": b"GET /docs HTTP/1.1\nHost: a\n\n",
    "bare cr": b"GET /docs HTTP/1.1\r\nHost: a\rX: b\r\n\r\n",
    "rubbish": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello tls\r\n\r\n",
    "no method": b" /docs HTTP/1.1\r\nHost: a\r\n\r\n",
    "no version": b"GET /docs\r\nHost: a\r\n\r\n",
    "version 2": b"GET /docs HTTP/2.0\r\nHost: a\r\n\r\n",
    "version 9": b"GET /docs HTTP/9.9\r\nHost: a\r\n\r\n",
    "preface of http 2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "connect": b"CONNECT example.com:443 HTTP/1.1\r\nHost: a\r\n\r\n",
    "star": b"GET * HTTP/1.1\r\nHost: a\r\n\r\n",
    "raw bytes in the path": b"GET /api/v1/\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n",
    "tab in the path": b"GET /api/v1/a\tb HTTP/1.1\r\nHost: a\r\n\r\n",
    "long head": b"GET /docs HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 40_000 + b"\r\n\r\n",
    "long head without an end": b"GET /docs HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 20_000,
    "long path": b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "upgrade to h2c": b"GET /nowhere HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    b"PRI * HTTP/2.0\r\n\r\n",
}


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES.keys())
def test_hostile_frames_are_refused_once_and_reach_nobody(platform, frame):
    said = platform.raw(frame)
    if said:
        assert said.startswith(b"HTTP/1.1 4"), said[:200]
        assert said.count(b"HTTP/1.1 4") == 1 or frame.startswith(LOGIN)
        assert b"application/problem+json" in said
        assert b"x-request-id" in said
    assert not platform.services["user-service"].calls
    assert platform.get("/health/live").status == 200


def test_a_smuggled_second_request_is_not_served(platform):
    frame = FRAMES["length and chunks"]
    assert platform.raw(frame).count(b"HTTP/1.1 4") == 1


def test_pipelined_requests_are_answered_in_order(platform):
    last = b"GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    said = platform.raw(HEALTHY * 3 + last)
    assert [said.count(b"HTTP/1.1 200"), said.count(b"HTTP/1.1 404")] == [3, 1]
    assert said.rindex(b"HTTP/1.1 200") < said.index(b"HTTP/1.1 404")


def seconds_until_closed(sock, beat=None):
    started = time.monotonic()
    sock.settimeout(0.1)
    while time.monotonic() - started < 8:
        try:
            if beat:
                sock.sendall(beat)
            if sock.recv(65536) == b"":
                return time.monotonic() - started
        except TimeoutError:
            continue
        except OSError:
            return time.monotonic() - started
    raise AssertionError("still open")


@pytest.mark.parametrize(
    ("first", "beat"),
    [
        (b"", None),
        (b"GET /docs HT", None),
        (b"GET /docs HTTP/1.1\r\nHost: a\r\n", b"X: y\r\n"),
        (b"\r\n", b"\r\n"),
        (HEALTHY, b"\r\n"),
        (HEALTHY, None),
        (HEALTHY + b"GET", None),
        (LOGIN + b"Host: a\r\n" + JSON + b"Content-Length: 100\r\n\r\n{", None),
        (LOGIN + b"Host: a\r\n" + JSON + b"Content-Length: 10000\r\n\r\n{", b" "),
        (LOGIN + b"Host: a\r\n" + JSON + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", b"1\r\n \r\n"),
    ],
)
def test_slow_clients_are_closed_in_time(platform, first, beat):
    with platform.connect() as sock:
        sock.sendall(first)
        assert seconds_until_closed(sock, beat) < 3


def test_a_slow_body_is_told_so(platform):
    said = platform.raw(LOGIN + b"Host: a\r\n" + JSON + b"Content-Length: 100\r\n\r\n{")
    assert b"HTTP/1.1 408 " in said
    assert b'"request_timeout"' in said


def test_a_client_that_takes_no_answer_is_cut_off(platform, people):
    with platform.connect() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        request = b"GET /api/v1/orders/big HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n"
        sock.sendall(request % people.token().encode())
        time.sleep(3)
        taken = 0
        try:
            while part := sock.recv(1 << 20):
                taken += len(part)
        except ConnectionError:
            pass
        assert taken < 300 * 65536
    assert 'sockets_closed_total{reason="answer_not_taken"}' in platform.get("/metrics").body.decode()


def test_a_thousand_half_open_sockets_do_not_hurt_a_healthy_client(platform_with, people):
    platform = platform_with(max_connections=600, header_timeout_s=5)
    sockets, worst_s = [], 0.0
    try:
        for number in range(1000):
            sock = platform.connect()
            sock.sendall(b"GET /docs HTTP/1.1\r\nHo" if number % 2 else b"")
            sockets.append(sock)
            if number % 50 == 0:
                started = time.monotonic()
                assert platform.get("/api/v1/me", token=people.token()).status == 200
                worst_s = max(worst_s, time.monotonic() - started)
    finally:
        for sock in sockets:
            sock.close()
    assert worst_s < 1


def test_connections_at_work_are_not_crowded_out(platform_with, people):
    platform = platform_with(max_connections=40, answer_timeout_s=10)
    results = []

    def slow():
        results.append(platform.get("/api/v1/orders/slow", token=people.token()).status)

    threads = [threading.Thread(target=slow) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    crowd = [platform.connect() for _ in range(100)]
    for thread in threads:
        thread.join()
    for sock in crowd:
        sock.close()
    assert results == [200] * 4
