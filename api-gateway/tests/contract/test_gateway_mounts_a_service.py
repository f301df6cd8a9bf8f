"""A service as the platform really builds one, under the gateway: problems, ids, deadlines, streams, its lifespan."""

import time
from contextlib import asynccontextmanager
from typing import ClassVar

import pytest
from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from api_gateway.upstreams import MountedUpstream
from saras_common.auth import InternalTokens
from saras_common.clock import SystemClock
from saras_common.errors import Conflict
from saras_common.metrics import Metrics
from saras_common.schemas import Strict
from saras_common.settings import ServiceSettings
from saras_common.web import AdminUser, CurrentUser, StrictRoute, create_service_app

KEY = "k" * 40


class Settings(ServiceSettings):
    service: ClassVar[str] = "portfolio-service"
    schema_name: ClassVar[str] = "portfolio_service"


class Order(Strict):
    quantity: int


def service(events):
    router = APIRouter(route_class=StrictRoute)

    @router.get("/orders/{order_id}")
    def get_order(order_id: str, user: CurrentUser) -> dict[str, str]:
        if order_id == "taken":
            raise Conflict("taken")
        if order_id == "hang":
            time.sleep(2)
        if order_id == "boom":
            raise RuntimeError("secret detail")
        return {"id": order_id, "user_id": str(user.user_id)}

    @router.post("/buy", status_code=202)
    async def buy(body: Order, user: CurrentUser) -> dict[str, int]:
        return {"quantity": body.quantity}

    @router.get("/admin/funds")
    def list_funds(_admin: AdminUser) -> dict[str, str]:
        return {"ok": "yes"}

    @router.get("/holdings")
    async def stream(_user: CurrentUser) -> StreamingResponse:
        return StreamingResponse((f"data: {n}\n\n" for n in range(3)), media_type="text/event-stream")

    @asynccontextmanager
    async def lifespan(_app):
        events.append("in")
        yield
        events.append("out")

    settings = Settings(database_url="x", broker_url="x", internal_token_key=KEY)
    tokens = InternalTokens(KEY.encode(), SystemClock())
    app = create_service_app(
        settings, title="Book", internal_tokens=tokens, metrics=Metrics(), checks={}, lifespan=lifespan
    )
    app.include_router(router)
    return app


@pytest.fixture
def events():
    return []


@pytest.fixture
def platform(platform_with, events):
    return platform_with(upstreams_changed={"portfolio-service": MountedUpstream(service(events))})


@pytest.fixture
def people(module_people):
    return module_people


def test_mounted_service_answers_and_its_problems_carry_the_request_id(platform, people, events):
    identity = people.identity()
    token = people.token(identity=identity)
    assert events == ["in"]
    assert platform.get("/api/v1/orders/7", token=token).json() == {"id": "7", "user_id": str(identity.user_id)}
    taken = platform.get("/api/v1/orders/taken", token=token, headers={"X-Request-ID": "r-1"})
    assert (taken.status, taken.code, taken.json()["request_id"]) == (409, "conflict", "r-1")
    assert taken.headers["x-request-id"] == "r-1"
    invalid = platform.post("/api/v1/buy", b'{"quantity":true}', token=token)
    assert (invalid.status, invalid.code) == (422, "invalid_input")
    assert platform.post("/api/v1/buy", b'{"quantity":1,"quantity":2}', token=token).status == 422
    assert platform.post("/api/v1/buy", b'{"quantity":5}', token=token).json() == {"quantity": 5}
    assert platform.request("PATCH", "/api/v1/buy", token=token).code == "method_not_allowed"
    assert b"data: 2" in platform.get("/api/v1/holdings", token=token).body


def test_mounted_service_failing_or_hanging_is_told_plainly_and_in_time(platform, people):
    token = people.token()
    failed = platform.get("/api/v1/orders/boom", token=token)
    assert (failed.status, failed.code) == (500, "internal_error")
    assert b"secret" not in failed.body
    started = time.monotonic()
    hung = platform.get("/api/v1/orders/hang", token=token)
    assert (hung.status, hung.code) == (504, "upstream_timeout")
    assert time.monotonic() - started < 1.8


def test_mounted_service_checks_the_role_itself(platform, people):
    assert platform.get("/api/v1/admin/funds", token=people.token("user")).status == 403
    assert platform.get("/api/v1/admin/funds", token=people.token("user", "admin")).status == 200


def test_mounted_service_openapi_is_in_the_platform_s(platform):
    document = platform.get("/api/v1/openapi.json").json()
    assert "/api/v1/buy" in document["paths"]
    assert "422" in document["paths"]["/api/v1/buy"]["post"]["responses"]
    assert not [name for name in document["paths"] if "health" in name]
