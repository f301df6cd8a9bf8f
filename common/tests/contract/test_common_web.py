import asyncio
import base64
from typing import Annotated
from uuid import uuid4

import pytest
from fastapi import APIRouter
from pydantic import Field
from starlette.requests import Request
from starlette.testclient import TestClient

from saras_common.auth import Identity, InternalTokens
from saras_common.clock import SystemClock
from saras_common.errors import NotFound, TooManyRequests
from saras_common.metrics import Metrics
from saras_common.schemas import Rupees, Strict
from saras_common.settings import ServiceSettings
from saras_common.web import (
    AdminUser,
    CurrentUser,
    IdempotencyKey,
    RequestScope,
    ServiceCaller,
    StrictRoute,
    create_service_app,
)

KEY = base64.b64encode(b"k" * 48).decode()


class Settings(ServiceSettings):
    service = "echo-service"
    schema_name = "echo_service"


class Body(Strict):
    price: Rupees
    names: dict[Annotated[str, Field(max_length=3)], str] | None = None


router = APIRouter(route_class=StrictRoute)


@router.post("/echo")
async def echo(body: Body, user: CurrentUser, key: IdempotencyKey = None):
    return {"paise": body.price, "user": str(user.user_id), "key": key}


@router.get("/admin/thing")
async def thing(_user: AdminUser):
    return {"ok": True}


@router.get("/internal/thing")
async def internal(_caller: ServiceCaller):
    return {"ok": True}


@router.get("/missing")
async def missing():
    raise NotFound


@router.get("/slow-down")
async def slow_down():
    raise TooManyRequests(retry_after_s=7)


@router.get("/broken")
def broken():
    raise RuntimeError("a secret detail")


@pytest.fixture(name="tokens")
def _tokens():
    return InternalTokens(KEY, SystemClock())


@pytest.fixture(name="client")
def _client(tokens):
    settings = Settings(database_url="postgresql://x", broker_url="postgresql://x", internal_token_key=KEY)

    def down():
        raise ConnectionError("no")

    app = create_service_app(
        settings, title="Echo", internal_tokens=tokens, metrics=Metrics(), checks={"fine": lambda: None, "bus": down}
    )
    app.include_router(router)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def signed(tokens, *roles, audience="echo-service"):
    identity = Identity(
        user_id=uuid4(), session_id=uuid4(), roles=frozenset(roles), version=1, expires_at=4_000_000_000.0
    )
    return {"X-Internal-Token": tokens.mint(identity, audience)}


def test_bodies_are_read_strictly_and_errors_never_repeat_them(client, tokens):
    headers = signed(tokens, "user")
    assert client.post("/echo", json={"price": "1.50"}, headers=headers).json()["paise"] == 150
    for body in (b'{"price": NaN}', b'{"price": 1, "price": 2}', b'{"price": "\\ud800"}', b"\xff", b'{"price": true}'):
        answer = client.post("/echo", content=body, headers=headers | {"Content-Type": "application/json"})
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
        document = answer.json()
        assert document["code"] == "invalid_input"
        assert document["errors"]
        assert set(document["errors"][0]) == {"field", "message"}


def test_a_name_nobody_knows_is_not_repeated(client, tokens):
    answer = client.post("/echo", json={"price": "1.50", "sum": {"secret": "1.50"}}, headers=signed(tokens, "user"))
    assert answer.json()["errors"] == [{"field": "body", "message": "Extra inputs are not permitted"}]
    inner = client.post("/echo", json={"price": "1.50", "names": {"secret": "x"}}, headers=signed(tokens, "user"))
    assert inner.json()["errors"] == [{"field": "names", "message": "String should have at most 3 characters"}]


def test_a_client_that_goes_away_is_no_failure_of_ours(caplog):
    sent = []

    async def reads_its_body(scope, receive, send):
        await Request(scope, receive).body()

    async def leave():
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/echo", "headers": []}
    asyncio.run(RequestScope(reads_its_body, service="echo", metrics=Metrics())(scope, leave, send))
    assert sent[0]["status"] == 408
    assert caplog.records == []


def test_identity_comes_from_the_internal_token_alone(client, tokens):
    body = {"json": {"price": 1}}
    assert client.post("/echo", **body).status_code == 401
    assert client.post("/echo", **body, headers={"X-User-Id": str(uuid4())}).status_code == 401
    assert client.post("/echo", **body, headers=signed(tokens, "user", audience="other")).status_code == 401
    assert client.post("/echo", **body, headers=signed(tokens, "service")).status_code == 401
    assert client.post("/echo", **body, headers=signed(tokens, "user")).status_code == 200
    assert client.get("/admin/thing", headers=signed(tokens, "user")).status_code == 403
    assert client.get("/admin/thing", headers=signed(tokens, "user", "admin")).status_code == 200
    assert client.get("/internal/thing", headers=signed(tokens, "user", "admin")).status_code == 403
    assert client.get("/internal/thing", headers=signed(tokens, "service")).status_code == 200


def test_every_failure_is_a_problem_with_a_code_and_a_request_id(client):
    expected = {
        "/missing": (404, "not_found"),
        "/no-such-route": (404, "not_found"),
        "/missing/": (404, "not_found"),
        "/slow-down": (429, "too_many_requests"),
        "/broken": (500, "internal_error"),
    }
    for path, (status, code) in expected.items():
        answer = client.get(path, headers={"X-Request-ID": "mine-1"})
        document = answer.json()
        assert (answer.status_code, document["code"]) == (status, code)
        assert document["request_id"] == answer.headers["x-request-id"] == "mine-1"
        assert "secret" not in answer.text
    assert client.get("/slow-down").headers["retry-after"] == "7"
    assert client.delete("/missing").json()["code"] == "method_not_allowed"


@pytest.mark.parametrize("sent", ["a b", "x" * 65, "<script>", ""])
def test_an_odd_request_id_is_replaced(client, sent):
    assert client.get("/missing", headers={"X-Request-ID": sent}).headers["x-request-id"] != sent


def test_idempotency_keys_are_printable_ascii(client, tokens):
    headers = signed(tokens, "user")
    good = client.post("/echo", json={"price": 1}, headers=headers | {"Idempotency-Key": "k" * 255})
    assert good.json()["key"] == "k" * 255
    for bad in ("k" * 256, "a\tb"):
        assert client.post("/echo", json={"price": 1}, headers=headers | {"Idempotency-Key": bad}).status_code == 422


def test_health_names_each_dependency_and_metrics_count(client):
    assert client.get("/health/live").json() == {"status": "ok"}
    ready = client.get("/health/ready")
    assert ready.status_code == 503
    assert ready.json()["dependencies"] == {"fine": "ok", "bus": "ConnectionError"}
    client.get("/missing")
    assert (
        'saras_http_requests_total{method="GET",service="echo-service",status="4xx"} 1.0' in client.get("/metrics").text
    )
