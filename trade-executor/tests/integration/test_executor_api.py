"""The HTTP side: who may call, what is answered, what is refused."""

import hashlib
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from starlette.testclient import TestClient

from saras_common.auth import Identity, InternalTokens
from saras_common.clock import SystemClock
from saras_common.events import FundsMoved
from trade_executor.app import create_app
from trade_executor.core.certificates import verify
from trade_executor.testing.platform import Platform
from trade_executor.testing.sandbox import SandboxProcess


@pytest.fixture(scope="module")
def rig(tmp_path_factory, postgres):
    sandbox = SandboxProcess(tmp_path_factory.mktemp("sandbox"))
    database = postgres.database_for("trade_executor")
    platform = Platform(database, sandbox, window_s=3600)
    platform.start()
    platform.deposit(10**12)
    moved = FundsMoved(
        at=datetime.now(UTC), movement_id=uuid4(), user_id=uuid4(), account_id="main", amount_paise=10**12
    )
    platform.publish([moved])
    platform.wait(lambda: platform.listed > 0)
    with TestClient(create_app(platform.settings), base_url="http://executor") as client:
        yield platform, client, sandbox
    platform.stop()
    sandbox.stop()
    postgres.drop(database)


def headers(platform, *roles, user=None):
    tokens = InternalTokens(platform.settings.internal_token_key.get_secret_value().encode(), SystemClock())
    now = datetime.now(UTC).timestamp()
    identity = Identity(user or uuid4(), uuid4(), frozenset(roles), 1, now + 600)
    return {"X-Internal-Token": tokens.mint(identity, "trade-executor")}


ADMIN_ROUTES = [
    ("GET", "/admin/execution"),
    ("POST", "/admin/execution/run"),
    ("POST", "/admin/execution/halt"),
    ("POST", "/admin/execution/resume"),
    ("POST", "/admin/execution/resolve"),
    ("GET", "/admin/batches"),
    ("GET", f"/admin/batches/{UUID(int=7)}"),
    ("GET", f"/admin/batches/{UUID(int=7)}/certificate"),
    ("GET", "/admin/reconciliation"),
    ("POST", "/admin/reconciliation/run"),
    ("POST", "/admin/reconciliation/clear"),
    ("GET", "/admin/broker/login-url"),
    ("POST", "/admin/broker/session"),
    ("POST", "/admin/mark-price"),
]


@pytest.mark.parametrize(("method", "path"), ADMIN_ROUTES)
def test_administrators_alone(rig, method, path):
    platform, client, _ = rig
    assert client.request(method, path).status_code == 401
    assert client.request(method, path, headers=headers(platform, "user")).status_code == 403


def test_every_admin_route_is_in_that_list(rig):
    _, client, _ = rig
    paths = client.app.openapi()["paths"]
    routes = {(method.upper(), path) for path, methods in paths.items() for method in methods if "/admin/" in path}
    listed = {
        (method, "/".join("{batch_id}" if len(part) == 36 else part for part in path.split("/")))
        for method, path in ADMIN_ROUTES
    }
    assert routes == listed


def test_a_window_from_its_trigger_to_its_certificate(rig):
    platform, client, _ = rig
    admin = headers(platform, "admin")
    orders = [platform.order("NSE:INFY", quantity) for quantity in (3, 5, 7)]
    platform.publish(orders)
    platform.wait(lambda: platform.statuses(orders) == {"QUEUED"})
    state = client.get("/admin/execution", headers=admin).json()
    assert (state["mode"], state["halted"], state["window"]["orders"]) == ("sandbox", False, 3)
    assert state["broker_session"]["state"] == "logged_in"
    assert state["leader"]["epoch"] >= 1

    key = {"Idempotency-Key": "run-1", **admin}
    first = client.post("/admin/execution/run", headers=key)
    again = client.post("/admin/execution/run", headers=key)
    assert first.status_code == again.status_code == 202
    assert first.json() == again.json()
    assert again.headers["Idempotency-Replayed"] == "true"
    assert client.post("/admin/execution/run", headers=admin).json() == {"batch_id": None}
    platform.wait(lambda: platform.statuses(orders) == {"FILLED"})

    batch_id = first.json()["batch_id"]
    platform.wait(lambda: client.get(f"/admin/batches/{batch_id}", headers=admin).json()["status"] == "DONE")
    batch = client.get(f"/admin/batches/{batch_id}", headers=admin).json()
    assert (batch["reason"], batch["user_orders"], batch["broker_orders"]) == ("manual", 3, 1)
    assert batch["saved"] == {"orders": 2, "rupees": "0.00", "seconds": 0.2}
    block = batch["blocks"][0]
    assert (block["quantity"], block["filled_quantity"], block["average_price"]) == (15, 15, "1500.00")
    assert block["value"] == "22500.00"
    assert {row["order_id"]: row["allocated"] for row in block["allocations"]} == {
        str(order.order_id): order.quantity for order in orders
    }
    assert set(block["allocations"][0]) == {"order_id", "user_id", "requested", "allocated", "credit"}
    assert client.get("/admin/batches", headers=admin).json()["items"][0]["id"] == batch_id

    papers = client.get(f"/admin/batches/{batch_id}/certificate", headers=admin).json()
    assert papers["verified"]
    assert [verify(document) for document in papers["certificates"]] == [[]]

    report = client.post("/admin/reconciliation/run", headers=admin).json()
    assert report["balanced"], report
    assert report["cash"]["difference"] == "0.00"
    assert client.get("/admin/reconciliation", headers=admin).json()["balanced"]


def test_the_kill_switch(rig):
    platform, client, sandbox = rig
    admin = headers(platform, "admin")
    answer = client.post("/admin/execution/halt", headers=admin, json={"reason": "drill"})
    assert (answer.json()["halted"], answer.json()["halt_reason"]) == (True, "drill")
    orders = [platform.order("NSE:TCS", 5)]
    platform.publish(orders)
    platform.wait(lambda: platform.statuses(orders) == {"QUEUED"})
    before = len(sandbox.journal("order_accepted"))
    assert client.post("/admin/execution/run", headers=admin).json()["batch_id"] is not None
    import time

    time.sleep(1.0)
    assert len(sandbox.journal("order_accepted")) == before
    assert client.post("/admin/execution/resume", headers=admin).json()["halted"] is False
    platform.wait(lambda: platform.statuses(orders) == {"FILLED"})


def test_login_and_its_refusal(rig):
    platform, client, sandbox = rig
    admin = headers(platform, "admin")
    url = client.get("/admin/broker/login-url", headers=admin).json()["url"]
    assert url.startswith(sandbox.url)
    import requests

    token = requests.get(url, headers={"Accept": "application/json"}, timeout=5).json()["request_token"]
    assert client.post("/admin/broker/session", headers=admin, json={"request_token": token}).status_code == 200
    refused = client.post("/admin/broker/session", headers=admin, json={"request_token": "nosuchtoken"})
    assert (refused.status_code, refused.json()["code"]) == (409, "broker_login_refused")


def test_prices_instruments_and_quotes(rig):
    platform, client, _ = rig
    admin, user = headers(platform, "admin"), headers(platform, "user")
    assert client.get("/instruments?q=infy").status_code == 401
    items = client.get("/instruments?q=infosys", headers=user).json()["items"]
    assert [item["instrument"] for item in items] == ["NSE:INFY"]
    page = client.get("/instruments?limit=7", headers=user).json()
    assert len(page["items"]) == 7
    following = client.get(f"/instruments?limit=7&cursor={page['next_cursor']}", headers=user).json()
    assert following["items"][0]["instrument"] > page["items"][-1]["instrument"]
    assert client.get("/instruments?cursor=nonsense", headers=user).status_code == 422
    set_price = client.post("/admin/mark-price", headers=admin, json={"instrument": "NSE:SBIN", "price": "812.35"})
    assert set_price.json() == {"instrument": "NSE:SBIN", "price": "812.35"}
    quotes = client.get("/quotes?instruments=NSE:SBIN,NSE:NOPE", headers=user).json()["items"]
    assert [(quote["instrument"], quote["last_price"]) for quote in quotes] == [("NSE:SBIN", "812.35")]
    assert client.get("/quotes?instruments=drop%20table", headers=user).status_code == 422
    unknown = client.post("/admin/mark-price", headers=admin, json={"instrument": "NSE:NOPE", "price": 5})
    assert unknown.status_code == 404


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/admin/execution/halt", '{"reason": ""}'),
        ("/admin/execution/halt", '{"reason": "x", "more": 1}'),
        ("/admin/execution/halt", '{"reason": "x", "reason": "y"}'),
        ("/admin/execution/halt", "[]"),
        ("/admin/mark-price", '{"instrument": "NSE:INFY", "price": NaN}'),
        ("/admin/mark-price", '{"instrument": "NSE:INFY", "price": 1e400}'),
        ("/admin/mark-price", '{"instrument": "NSE:INFY", "price": true}'),
        ("/admin/mark-price", '{"instrument": "NSE:INFY", "price": "12.345"}'),
        ("/admin/mark-price", '{"instrument": "NSE:INFY", "price": -1}'),
        ("/admin/reconciliation/clear", '{"instruments": []}'),
        ("/admin/broker/session", '{"request_token": "a b"}'),
    ],
)
def test_bad_bodies_are_refused_without_an_echo(rig, path, body):
    platform, client, _ = rig
    answer = client.post(path, headers={"Content-Type": "application/json", **headers(platform, "admin")}, content=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


def test_ids_of_nothing_are_not_found(rig):
    platform, client, _ = rig
    for path in (f"/admin/batches/{uuid4()}", "/admin/batches/what", f"/admin/batches/{uuid4()}/certificate"):
        assert client.get(path, headers=headers(platform, "admin")).status_code == 404
    assert client.get("/admin/reconciliation?account_id=other", headers=headers(platform, "admin")).status_code == 404


def test_postbacks_are_believed_only_with_their_checksum(rig):
    _, client, _ = rig
    order_id, at = "1234567890123456789", "2026-03-02 09:24:25"
    checksum = hashlib.sha256(f"{order_id}{at}sandbox-secret".encode()).hexdigest()
    good = {"order_id": order_id, "order_timestamp": at, "checksum": checksum, "status": "COMPLETE", "quantity": 1}
    assert client.post("/broker/postback", json=good).status_code == 200
    assert client.post("/broker/postback", json={**good, "status": "REJECTED"}).status_code == 200, (
        "a hint all the same"
    )
    for wrong in ({**good, "checksum": checksum[::-1]}, {**good, "order_id": "9"}):
        assert client.post("/broker/postback", json=wrong).status_code == 403
    for bad in (b"", b"[]", b"{", b'{"order_id": 5}', b"x" * 20_000):
        assert client.post("/broker/postback", content=bad).status_code == 422


def test_health_and_metrics(rig):
    _, client, _ = rig
    assert client.get("/health/ready").json()["dependencies"] == {"database": "ok"}
    assert client.get("/metrics").status_code == 200
