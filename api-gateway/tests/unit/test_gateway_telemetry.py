import asyncio
import json

from api_gateway.telemetry import Telemetry
from saras_common.metrics import Metrics


def line(status=200, path="/a"):
    return (1_700_000_000.5, "id", "GET", path, status, 0.004, "1.2.3.4", "")


def test_telemetry_samples_the_log_but_counts_everything_and_keeps_our_errors():
    metrics, written = Metrics(), []
    telemetry = Telemetry(metrics, access_log_sample=0.25, write=written.append, chance=iter([0.1, 0.5, 0.9]).__next__)
    for status in (200, 200, 404, 500):
        telemetry.exchange("a", line(status))
    asyncio.run(telemetry.flush())
    assert [json.loads(text)["status"] for text in b"".join(written).splitlines()] == [200, 500]
    assert metrics.registry.get_sample_value("saras_gateway_request_seconds_count", {"route": "a"}) == 4


def test_telemetry_histogram_is_cumulative():
    metrics = Metrics()
    telemetry = Telemetry(metrics, write=lambda _text: None)
    telemetry.exchange("a", line())
    bucket = "saras_gateway_request_seconds_bucket"
    assert metrics.registry.get_sample_value(bucket, {"route": "a", "le": "0.0025"}) == 0
    assert metrics.registry.get_sample_value(bucket, {"route": "a", "le": "0.005"}) == 1
    assert metrics.registry.get_sample_value(bucket, {"route": "a", "le": "+Inf"}) == 1
    assert metrics.registry.get_sample_value("saras_gateway_request_seconds_sum", {"route": "a"}) == 0.004


def test_telemetry_drops_lines_rather_than_memory(monkeypatch):
    monkeypatch.setattr("api_gateway.telemetry._MAX_WAITING", 3)
    metrics, written = Metrics(), []
    telemetry = Telemetry(metrics, write=written.append)
    for _ in range(5):
        telemetry.exchange("a", line())
    asyncio.run(telemetry.flush())
    assert len(b"".join(written).splitlines()) == 3
    assert metrics.registry.get_sample_value("saras_gateway_access_lines_lost_total") == 2


def test_telemetry_lines_cannot_be_broken():
    written = []
    telemetry = Telemetry(Metrics(), write=written.append)
    telemetry.exchange("a", line(path='/a\n{"level":"fatal"}'))
    asyncio.run(telemetry.flush())
    assert len(b"".join(written).splitlines()) == 1
