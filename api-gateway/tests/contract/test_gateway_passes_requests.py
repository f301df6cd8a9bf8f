"""One suite for both kinds of upstream: what a service sees and what a client gets."""

import json

import pytest


def test_gateway_forwards_method_path_query_and_body(platform, people):
    answer = platform.post("/api/v1/orders/batch?x=1&y=a%20b", b'{"orders":[]}', token=people.token())
    seen = answer.json()
    assert answer.status == 200
    assert (seen["method"], seen["path"], seen["query"]) == ("POST", "/orders/batch", "x=1&y=a%20b")
    assert seen["service"] == "portfolio-service"
    assert seen["body"] == '{"orders":[]}'


def test_gateway_keeps_an_encoded_path_raw_and_decodes_it_once(platform, people):
    seen = platform.get("/api/v1/quotes/NSE:M%26M%20%E2%82%B9", token=people.token()).json()
    assert seen["path"] == "/quotes/NSE:M&M ₹".encode().decode("utf-8")
    assert seen["raw_path"] == "/quotes/NSE:M%26M%20%E2%82%B9"


def test_gateway_speaks_for_the_user_with_an_internal_token(platform, people):
    identity = people.identity("user")
    seen = platform.get("/api/v1/me", token=people.token(identity=identity)).json()
    assert seen["user_id"] == str(identity.user_id)
    assert seen["roles"] == ["user"]
    assert seen["headers"]["x-client-address"] == "127.0.0.1"
    assert "authorization" not in seen["headers"]


def test_gateway_vouches_for_a_public_call_as_anonymous(platform, nobody):
    seen = platform.post("/api/v1/login").json()
    assert seen["roles"] == ["anonymous"]
    assert seen["user_id"] == str(nobody)


FORGED = {
    "X-Internal-Token": "forged",
    "X-User-Id": "admin",
    "X_User_Id": "admin",
    "X-Forwarded-For": "6.6.6.6",
    "X-Forwarded-Host": "evil",
    "Forwarded": "for=6.6.6.6",
    "X-Client-Address": "6.6.6.6",
    "X-Real-IP": "6.6.6.6",
    "Cookie": "a=b",
    "TE": "trailers",
    "Proxy-Authorization": "Basic x",
    "X-HTTP-Method-Override": "DELETE",
    "Keep-Alive": "timeout=1000",
}


def test_gateway_strips_what_a_client_may_not_set(platform, people):
    seen = platform.get("/api/v1/me", token=people.token(), headers=FORGED).json()
    assert not {"x-user-id", "x_user_id", "forwarded", "cookie", "te", "keep-alive"} & set(seen["headers"])
    assert not any("6.6.6.6" in value or "forged" in value for value in seen["headers"].values())
    assert seen["names"].count("x-internal-token") == 1
    assert seen["names"].count("x-client-address") == 1


def test_gateway_connection_header_cannot_drop_its_own_headers(platform, people):
    named = "close, X-Internal-Token, X-Request-ID, X-Client-Address, Content-Type, Accept-Language"
    headers = {"Connection": named, "Accept-Language": "en", "X-Request-ID": "mine"}
    seen = platform.post("/api/v1/orders/batch", token=people.token(), headers=headers).json()
    assert seen["headers"]["x-internal-token"]
    assert seen["headers"]["x-request-id"] == "mine"
    assert seen["headers"]["content-type"] == "application/json"
    assert "accept-language" not in seen["headers"]
    assert "connection" not in seen["headers"] or seen["headers"]["connection"] == "keep-alive"


def test_gateway_answers_carry_its_own_headers(platform, people):
    answer = platform.get("/api/v1/me", token=people.token(), headers={"X-Request-ID": "abc-1"})
    assert answer.headers["x-request-id"] == "abc-1"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["etag"] == '"1"'
    assert "server" not in answer.headers


@pytest.mark.parametrize("insane", ["a b", "x" * 65, "a\tb", "é", ""])
def test_gateway_replaces_an_insane_request_id(platform, people, insane):
    headers = {"X-Request-ID": insane.encode("latin-1")}
    answer = platform.get("/api/v1/me", token=people.token(), headers=headers)
    assert answer.headers["x-request-id"] == answer.json()["headers"]["x-request-id"]
    assert len(answer.headers["x-request-id"]) > 32


def test_gateway_idempotency_key_passes(platform, people):
    seen = platform.post("/api/v1/buy", token=people.token(), headers={"Idempotency-Key": "k1"}).json()
    assert seen["headers"]["idempotency-key"] == "k1"


def test_gateway_streams_unbuffered(platform, people):
    with platform.connect() as sock:
        sock.sendall(
            b"GET /api/v1/orders/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
            + people.token().encode()
            + b"\r\nConnection: close\r\n\r\n"
        )
        first, rest = b"", b""
        while b"data: 0" not in first:
            first += sock.recv(65536)
        while part := sock.recv(65536):
            rest += part
    assert b"data: 2" not in first
    assert b"data: 2" in rest


def test_gateway_stops_reading_an_endless_stream_when_the_client_leaves(platform, people):
    with platform.connect() as sock:
        sock.sendall(
            b"GET /api/v1/orders/endless HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
            + people.token().encode()
            + b"\r\n\r\n"
        )
        assert sock.recv(65536)
    service = platform.services["portfolio-service"]
    import threading

    for _ in range(100):
        if getattr(service, "left", False):
            break
        threading.Event().wait(0.05)
    assert service.left


def test_gateway_slow_service_is_a_504(platform, people):
    answer = platform.get("/api/v1/orders/slow", token=people.token())
    assert (answer.status, answer.code) == (504, "upstream_timeout")


def test_gateway_hides_an_error_page(platform, people):
    answer = platform.get("/api/v1/orders/html500", token=people.token())
    assert answer.status == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert b"secret" not in answer.body


def test_gateway_passes_a_problem_through(platform, people):
    answer = platform.post("/api/v1/orders/conflict", token=people.token())
    assert (answer.status, answer.code) == (409, "conflict")


def test_gateway_breaks_the_connection_when_an_answer_breaks_off(platform, people):
    request = b"GET /api/v1/orders/cut HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n"
    answer = platform.raw(request % people.token().encode())
    assert answer.endswith(b"only this") or b" 502 " in answer


def test_gateway_large_answers_arrive_whole(platform, people):
    assert len(platform.get("/api/v1/orders/big", token=people.token()).body) == 300 * 65536


def test_gateway_head_is_a_get_without_the_body(platform, people):
    answer = platform.request("HEAD", "/api/v1/me", token=people.token())
    assert (answer.status, answer.body) == (200, b"")
    assert platform.services["user-service"].calls[-1][0] == "GET"


def test_gateway_collects_a_chunked_body(platform, people):
    token = people.token().encode()
    raw = platform.raw(
        b"POST /api/v1/buy HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
        b"Authorization: Bearer " + token + b"\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n3\r\n   \r\n0\r\n\r\n"
    )
    seen = json.loads(raw.partition(b"\r\n\r\n")[2])
    assert seen["length"] == 5
    assert seen["headers"]["content-length"] == "5"
    assert "transfer-encoding" not in seen["headers"]


def test_gateway_ignores_a_body_on_get(platform, people):
    seen = platform.request("GET", "/api/v1/me", token=people.token(), body=b"{}").json()
    assert seen["length"] == 0
    assert "content-length" not in seen["headers"]
