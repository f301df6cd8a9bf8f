"""What the door refuses, with either kind of upstream behind it; nothing of it reaches a service."""

import pytest

from api_gateway.routes import BATCH_BYTES, SMALL_BYTES, TABLE, Access

PROTECTED = [route for route in TABLE if route.access is not Access.PUBLIC]


def test_gateway_wants_a_token_on_every_route_but_the_public_ones(platform):
    for route in PROTECTED:
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"):
            answer = platform.request(method, f"/api/v1/{route.name}")
            assert answer.status == 401, route.name
            assert answer.headers["www-authenticate"] == "Bearer"
            assert answer.headers["content-type"] == "application/problem+json"
    assert not any(service.calls for name, service in platform.services.items() if name != "user-service")


def test_gateway_wants_the_admin_role(platform, people):
    for route in PROTECTED:
        if route.access is Access.ADMIN:
            refused = platform.get(f"/api/v1/{route.name}/x", token=people.token("user"))
            assert (refused.status, refused.code) == (403, "forbidden")
            assert platform.get(f"/api/v1/{route.name}/x", token=people.token("user", "admin")).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/api",
        "/api/v1",
        "/api/v1/",
        "/api/v1/nothing",
        "/internal/revocations",
        "/api/v1/internal/revocations",
        "/orders",
        "/api/v2/orders",
        "/api/v1/orders/",
        "//api/v1/orders",
        "/api//v1/orders",
        "/openapi.json",
        "/login",
        "/api/v1/health/ready",
        "/api/v1/metrics",
        "/api/v1/.well-known/jwks.json",
        "/api/%76%31/orders",
        "/API/v1/me",
    ],
)
def test_gateway_unknown_paths_are_404(platform, people, path):
    answer = platform.get(path, token=people.token("user", "admin"))
    assert (answer.status, answer.code) == (404, "not_found")


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/../internal/revocations",
        "/api/v1/orders/..%2f..%2finternal",
        "/api/v1/orders/%2e%2e/x",
        "/api/v1/orders/%00",
        "/api/v1/orders/a%5cb",
        "/api/v1/orders/%ff",
        "/api/v1/orders?x=%00",
        "/api/v1/orders?x=%ff",
    ],
)
def test_gateway_paths_with_two_readings_are_400(platform, people, path):
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {people.token()}\r\nConnection: close\r\n\r\n"
    answer = platform.raw(request.encode())
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"bad_request"' in answer
    assert not platform.services["portfolio-service"].calls


@pytest.mark.parametrize("method", ["TRACE", "PROPFIND", "LINK", "PURGE"])
def test_gateway_odd_methods_are_405(platform, people, method):
    answer = platform.request(method, "/api/v1/orders", token=people.token())
    assert (answer.status, answer.code) == (405, "method_not_allowed")


def test_gateway_bodies_are_json(platform, people):
    token = people.token()
    for kind in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
    ):
        answer = platform.post("/api/v1/buy", b"{}", token=token, headers={"Content-Type": kind})
        assert (answer.status, answer.code) == (415, "unsupported_media_type")
    assert platform.post("/api/v1/buy", b"{}", headers={"Content-Type": "text/plain"}).status == 401
    assert platform.post("/api/v1/broker/postback", b"{}", headers={"Content-Type": "text/plain"}).status == 415


def test_gateway_bodies_are_bounded(platform_with, upstream_kind, people):
    platform = platform_with(upstream_kind, max_body_bytes=1024)
    token = people.token()
    assert platform.post("/api/v1/buy", b" " * 1024, token=token).status == 200
    answer = platform.post("/api/v1/buy", b" " * 1025, token=token)
    assert (answer.status, answer.code) == (413, "body_too_large")
    assert answer.headers["connection"] == "close"
    raw = platform.raw(
        b"POST /api/v1/buy HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer "
        + token.encode()
        + b"\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"100\r\n"
        + b" " * 256
        + b"\r\n"
        + b"400\r\n"
        + b" " * 1024
        + b"\r\n"
    )
    assert b"HTTP/1.1 413 " in raw
    assert platform.services["portfolio-service"].calls == [("POST", "/buy")]


def test_gateway_bodies_are_as_large_as_their_call_needs(platform, people):
    token = people.token()
    for path, most in (("/api/v1/buy", SMALL_BYTES), ("/api/v1/orders/batch", BATCH_BYTES)):
        assert platform.post(path, b" " * most, token=token).status == 200
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer {token}\r\n"
        said = platform.raw(f"{head}Content-Length: {most + 1}\r\n\r\n".encode())
        assert b"HTTP/1.1 413 " in said


def test_gateway_addresses_are_bounded(platform, people):
    answer = platform.get("/api/v1/orders?q=" + "x" * 9000, token=people.token())
    assert (answer.status, answer.code) == (414, "uri_too_long")


def test_gateway_headers_are_bounded(platform, people):
    many = platform.get("/api/v1/me", token=people.token(), headers={f"X-{n}": "1" for n in range(80)})
    assert (many.status, many.code) == (431, "headers_too_large")
    large = platform.get("/api/v1/me", token=people.token(), headers={"X-Large": "x" * 20_000})
    assert (large.status, large.code) == (431, "headers_too_large")


def test_gateway_websocket_is_refused_clearly(platform, people):
    headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "x"}
    answer = platform.get("/api/v1/orders", token=people.token(), headers=headers)
    assert (answer.status, answer.code) == (501, "websocket_unavailable")


def test_gateway_options_answers_without_a_token(platform_with):
    plain = platform_with().request("OPTIONS", "/api/v1/orders", headers={"Origin": "https://app.example"})
    assert plain.status == 204
    assert "POST" in plain.headers["allow"]
    assert not any(name.startswith("access-control") for name in plain.headers)


def test_gateway_cors_from_settings(platform_with, people):
    platform = platform_with(cors_origins="https://app.example, https://b.example")
    ask = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    preflight = platform.request("OPTIONS", "/api/v1/buy", headers=ask)
    assert preflight.headers["access-control-allow-origin"] == "https://app.example"
    assert "Idempotency-Key" in preflight.headers["access-control-allow-headers"]
    real = platform.get("/api/v1/me", token=people.token(), headers={"Origin": "https://b.example"})
    assert real.headers["access-control-allow-origin"] == "https://b.example"
    assert "access-control-allow-credentials" not in real.headers
    other = platform.get("/api/v1/me", token=people.token(), headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in other.headers


def test_gateway_rates_by_user_and_by_address(platform_with, people):
    platform = platform_with(rate_user="5/minute", rate_login="3/minute")
    first, second = people.token(), people.token()
    statuses = [platform.get("/api/v1/me", token=first).status for _ in range(7)]
    assert statuses == [200] * 5 + [429] * 2
    assert platform.get("/api/v1/me", token=second).status == 200
    logins = [platform.post("/api/v1/login") for _ in range(4)]
    assert [answer.status for answer in logins] == [200] * 3 + [429]
    assert logins[-1].code == "too_many_requests"
    assert 1 <= int(logins[-1].headers["retry-after"]) <= 120
    assert platform.post("/api/v1/register").status == 200


def test_gateway_rates_an_address_before_its_tokens_are_looked_at(platform_with):
    platform = platform_with(rate_address="20/minute")
    statuses = [platform.get("/api/v1/me", token="bad").status for _ in range(30)]
    assert set(statuses) == {401, 429}
    assert statuses[-1] == 429
    assert platform.get("/health/live").status == 200
