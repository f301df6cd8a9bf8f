"""One trace from POST /buy to the ledger entry, across the bus, as a collector receives it."""

import gzip
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import UUID

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from saras.client import Api
from saras.demo.market import list_quotes, wait_tradable
from saras.home import Home
from saras.process import ADMIN_EMAIL, ADMIN_PASSWORD, PlatformProcess
from saras.seeding import Seeder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


class Collector(ThreadingHTTPServer):
    """Takes OTLP over HTTP and keeps the spans: (service, span)."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.spans = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.server_address[1]}/v1/traces"

    def of(self, order_id):
        return [(service, span) for service, span in self.spans if span.trace_id == UUID(order_id).bytes]


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        request = ExportTraceServiceRequest()
        request.ParseFromString(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
        for group in request.resource_spans:
            (service,) = [each.value.string_value for each in group.resource.attributes if each.key == "service.name"]
            self.server.spans += [(service, span) for scope in group.scope_spans for span in scope.spans]
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_arguments):
        pass


def test_an_order_has_one_trace_from_its_request_to_the_ledger(tmp_path):
    collector = Collector()
    environment = {
        "SARAS_MODE": "sandbox",
        "DATABASE_URL": "",
        "BROKER_URL": "",
        "REDIS_URL": "",
        "SANDBOX_PRICES": "fixed",
        "SARAS_WINDOW_S": "0.5",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": collector.endpoint,
    }
    with PlatformProcess(tmp_path / "home", environment) as platform:
        (user,) = Seeder(platform.url, Home(platform.home)).seed([("t@saras.example.com", "T")], "nine-lives-of-a-cat")
        with Api(platform.url, token=user.token) as api, Api(platform.url) as admin:
            admin.login(ADMIN_EMAIL, ADMIN_PASSWORD)
            api.post("/funds/deposit", {"amount": "1000000.00"}, key="once")
            wait_tradable(api, list_quotes(admin, 3))
            order = api.post("/buy", {"instrument": "NSE:INFY", "quantity": 3, "order_type": "MARKET"}, key="traced")
            api.post("/buy", {"instrument": "NSE:INFY", "quantity": 3, "order_type": "MARKET"}, key="traced")
            wanted = {
                ("portfolio-service", "POST /buy"),
                ("trade-executor", "order.accepted.v1"),
                ("portfolio-service", "order.progressed.v1"),
                ("portfolio-service", "allocation.posted.v1"),
            }
            deadline = time.monotonic() + 60
            while not wanted <= {(service, span.name) for service, span in collector.of(order["id"])}:
                assert time.monotonic() < deadline, [(service, span.name) for service, span in collector.spans]
                time.sleep(0.2)
    spans = collector.of(order["id"])
    roots = [span for _, span in spans if not span.parent_span_id]
    assert [span.name for span in roots] == ["POST /buy"]  # asked twice under one key, begun once
    assert {span.parent_span_id for _, span in spans if span.parent_span_id} == {roots[0].span_id}
    (posted,) = [span for _, span in spans if span.name == "allocation.posted.v1"]
    assert roots[0].start_time_unix_nano < posted.end_time_unix_nano
    attributes = {each.key: each.value.string_value for each in roots[0].attributes}
    assert attributes["request_id"]
    collector.shutdown()
    collector.server_close()


def test_unconfigured_nothing_of_it_is_imported():
    from saras_common.tracing import NO_TRACES, connect_traces

    assert connect_traces("x", None) is NO_TRACES
    assert connect_traces("x", "") is NO_TRACES
    assert NO_TRACES.on is False
