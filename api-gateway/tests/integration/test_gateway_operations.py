"""Health, metrics, the merged OpenAPI, the reference page, the access log, and services that are not there."""

import json
import re
import socket
import threading
import time

import pytest

from api_gateway.upstreams import HttpUpstream
from saras_common.testing import free_port


def test_ready_names_each_service(platform):
    ready = platform.get("/health/ready")
    assert ready.status == 200
    assert ready.json()["dependencies"] == dict.fromkeys([*platform.services, "streams", "revocations"], "ok")
    platform.services["trade-executor"].ready = False
    time.sleep(1.1)
    late = platform.get("/health/ready")
    assert (late.status, late.json()["dependencies"]["trade-executor"]) == (503, "http_503")
    assert platform.get("/health/live").json() == {"status": "ok"}


def test_ready_can_do_without_a_service_that_is_not_required(platform_with):
    platform = platform_with(required_services="user-service,portfolio-service")
    platform.services["trade-executor"].ready = False
    time.sleep(1.1)
    ready = platform.get("/health/ready")
    assert (ready.status, ready.json()["status"]) == (200, "degraded")


def test_jwks_is_at_the_root(platform, people):
    assert platform.get("/.well-known/jwks.json").json()["keys"][0]["kid"] == people.keys[0].kid


def test_openapi_is_merged_and_holds_only_what_is_routed(platform):
    document = platform.get("/api/v1/openapi.json").json()
    own = {"/api/v1/events", "/api/v1/ws"}
    of_services = {"/api/v1/orders/{order_id}", "/api/v1/login", "/api/v1/admin/execution/run"}
    assert set(document["paths"]) == own | of_services
    order = document["paths"]["/api/v1/orders/{order_id}"]["get"]
    assert order["tags"] == ["portfolio-service"]
    assert order["security"] == [{"bearer": []}]
    assert "application/problem+json" in order["responses"]["422"]["content"]
    assert document["paths"]["/api/v1/login"]["post"]["security"] == []
    schemas = document["components"]["schemas"]
    assert {"Item", "Problem", "trade_executor_Item", "user_service_Item"} <= set(schemas)
    reference = schemas["user_service_Box"]["properties"]["it"]["$ref"] if "user_service_Box" in schemas else None
    assert reference in {None, "#/components/schemas/user_service_Item"}


def test_docs_need_nothing_from_elsewhere(platform):
    page = platform.get("/docs")
    text = page.body.decode()
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "/api/v1/orders/{order_id}" in text
    assert not re.search(r"<script|https?://|src=|@import", text)
    assert "style-src 'sha256-" in page.headers["content-security-policy"]


def test_own_answers_take_head_and_refuse_other_methods(platform_with):
    platform = platform_with()
    assert platform.request("HEAD", "/docs").body == b""
    for path in ("/docs", "/health/live", "/metrics", "/api/v1/openapi.json", "/api/v1/event-schemas.json"):
        assert platform.post(path).status == 405


def test_metrics_count_by_route_and_name_refusals(platform_with, people):
    platform = platform_with()
    platform.get("/api/v1/orders/7", token=people.token())
    platform.get("/api/v1/orders/8")
    platform.get("/nowhere/at/all")
    text = platform.get("/metrics").body.decode()
    assert 'saras_gateway_requests_total{method="GET",route="orders",status="200"} 1.0' in text
    assert 'saras_gateway_requests_total{method="GET",route="orders",status="401"} 1.0' in text
    assert 'saras_gateway_requests_total{method="GET",route="none",status="404"} 1.0' in text
    assert 'saras_gateway_refusals_total{reason="unauthenticated"} 1.0' in text
    assert 'saras_gateway_request_seconds_count{route="orders"} 2.0' in text
    assert "nowhere" not in text


def test_access_log_has_ids_and_no_secrets(platform_with, people):
    platform = platform_with()
    token, identity = None, people.identity()
    token = people.token(identity=identity)
    platform.get("/api/v1/orders/7?secret=hush", token=token, headers={"X-Request-ID": "find-me"})
    deadline = time.monotonic() + 3
    while b"find-me" not in b"".join(platform.log) and time.monotonic() < deadline:
        time.sleep(0.05)
    lines = b"".join(platform.log)
    line = next(json.loads(text) for text in lines.splitlines() if b"find-me" in text)
    assert line["message"] == "GET /api/v1/orders/7 200"
    assert line["user_id"] == str(identity.user_id)
    assert b"hush" not in lines
    assert token.encode() not in lines


class Accomplice:
    """A server that takes one request on each connection and behaves badly; counts what arrived."""

    def __init__(self, answer):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.requests = []
        self._answer = answer
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            data = connection.recv(65536)
            self.requests.append(data)
            if self._answer:
                connection.sendall(self._answer)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            connection.close()


def serve_before(platform_with, people, url):
    """A platform whose portfolio-service is at ``url``."""
    return platform_with("mounted", upstreams_changed={"portfolio-service": HttpUpstream(url)})


def test_a_service_that_is_down_is_a_503(platform_with, people):
    platform = serve_before(platform_with, people, f"http://127.0.0.1:{free_port()}")
    answer = platform.post("/api/v1/buy", token=people.token())
    assert (answer.status, answer.code) == (503, "unavailable")
    assert answer.headers["retry-after"] == "1"
    assert platform.get("/health/ready").json()["dependencies"]["portfolio-service"] == "Unavailable"


@pytest.mark.parametrize("broken", [b"", b"HTTP/1.1 200 OK\r\nContent-", b"rubbish\r\n\r\n"])
def test_a_service_that_breaks_off_is_a_502_and_a_post_is_sent_once(platform_with, people, broken):
    accomplice = Accomplice(broken)
    platform = serve_before(platform_with, people, f"http://127.0.0.1:{accomplice.port}")
    answer = platform.post("/api/v1/buy", token=people.token())
    assert (answer.status, answer.code) == (502, "upstream_broken")
    assert len(accomplice.requests) == 1
    accomplice.listener.close()
