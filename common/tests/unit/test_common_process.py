import http.client
import os
import signal
import subprocess
import sys
import threading

import pytest
from pydantic import SecretStr

from saras_common.errors import Unavailable
from saras_common.metrics import Metrics, unless_down
from saras_common.process import EXIT_FAILED, Probes, run_workers
from saras_common.settings import ServiceSettings
from saras_common.web import Worker

SCRIPT = """
import sys, threading
from pydantic import SecretStr
from saras_common.metrics import Metrics
from saras_common.process import run_workers
from saras_common.settings import ServiceSettings
from saras_common.web import Worker
class Settings(ServiceSettings):
    service = "x"
    schema_name = "x"
def run(stop):
    print("up", flush=True)
    stop.wait()
settings = Settings(database_url=SecretStr(""), broker_url=SecretStr(""), internal_token_key=SecretStr("k" * 32))
sys.exit(run_workers(settings, [Worker("x.a", run), Worker("x.b", run)], Metrics()))
"""


class Settings(ServiceSettings):
    service = "x"
    schema_name = "x"


def settings():
    return Settings(database_url=SecretStr(""), broker_url=SecretStr(""), internal_token_key=SecretStr("k" * 32))


def fetch(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_probes_tell_of_life_and_metrics_and_nothing_else():
    metrics = Metrics()
    metrics.counter("saras_x_total", "x").inc(3)
    probes = Probes("127.0.0.1", 0, metrics)
    assert fetch(probes.port, "/health/live") == (200, b'{"status":"ok"}')
    assert b"saras_x_total 3.0" in fetch(probes.port, "/metrics")[1]
    assert fetch(probes.port, "/admin")[0] == 404
    probes.close()


@pytest.mark.parametrize("end", ["raises", "returns"])
def test_a_loop_that_ends_by_itself_ends_the_process(end, restored_signals):
    ended = threading.Event()

    def fail(_stop):
        if end == "raises":
            raise RuntimeError("boom")

    def wait(stop):
        stop.wait()
        ended.set()

    assert run_workers(settings(), [Worker("x.bad", fail), Worker("x.good", wait)], Metrics()) == EXIT_FAILED
    assert ended.is_set()


def test_sigterm_ends_every_loop_in_order():
    process = subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, text=True)
    assert [process.stdout.readline(), process.stdout.readline()] == ["up\n", "up\n"]
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(10) == 0
    process.stdout.close()


def test_a_gauge_whose_source_is_down_is_unknown():
    def down():
        raise Unavailable

    metrics = Metrics()
    metrics.gauge("saras_lag", "x").set_function(unless_down(down))
    assert b"saras_lag NaN" in metrics.render()


@pytest.fixture
def restored_signals():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
