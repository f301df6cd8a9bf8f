import http.client
import os
import signal
import socket
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
import os, sys
from pydantic import SecretStr
from saras_common.metrics import Metrics
from saras_common.process import run_workers
from saras_common.settings import ServiceSettings
from saras_common.web import Worker
class Settings(ServiceSettings):
    service = "x"
    schema_name = "x"
def run(stop):
    os.write(1, b"up\\n")  # whole, whoever else writes
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


SERVER = """
import sys
from fastapi import FastAPI
from pydantic import SecretStr
from saras_common.process import serve_api
from saras_common.settings import ServiceSettings
class Settings(ServiceSettings):
    service = "x"
    schema_name = "x"
app = FastAPI()
@app.post("/")
async def answer() -> str:
    return sys.argv[1]
serve_api(Settings(database_url=SecretStr(""), broker_url=SecretStr(""), internal_token_key=SecretStr("k" * 32)), app)
"""


def start_server(name, listener):
    """A server on our socket, once it says that it is ready."""
    reading, writing = os.pipe()
    environment = {**os.environ, "LISTEN_FD": str(listener.fileno()), "READY_FD": str(writing)}
    command = [sys.executable, "-c", SERVER, name]
    process = subprocess.Popen(command, env=environment, pass_fds=(listener.fileno(), writing))
    os.close(writing)
    assert os.read(reading, 1) == b"\n"
    os.close(reading)
    return process


def post(connection):
    connection.request("POST", "/")
    answer = connection.getresponse()
    return answer.read(), answer.getheader("connection")


def test_one_server_follows_another_without_a_request_lost():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        first = start_server("first", listener)
        kept, idle = (http.client.HTTPConnection("127.0.0.1", port, timeout=10) for _ in range(2))
        assert post(kept) == post(idle) == (b'"first"', None)
        second = start_server("second", listener)
        first.terminate()
        says = None
        while says is None:  # until it has heard; nothing is cut off meanwhile
            name, says = post(kept)
            assert name == b'"first"'
        assert says == "close"  # the last answer on this connection
        assert [post(kept)[0] for _ in range(3)] == [b'"second"'] * 3
        assert post(idle) == (b'"first"', "close")  # one that was idle gets an answer too
        assert first.wait(10) == -signal.SIGTERM
        for connection in (kept, idle):
            connection.close()
        second.send_signal(signal.SIGINT)
        assert second.wait(10) == 0


def test_sigint_waits_for_no_idle_connection():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = start_server("only", listener)
        idle = http.client.HTTPConnection("127.0.0.1", listener.getsockname()[1], timeout=10)
        assert post(idle)[0] == b'"only"'
        server.send_signal(signal.SIGINT)
        assert idle.sock.recv(1) == b""  # closed at once, by the server
        assert server.wait(10) == 0
        idle.close()


def test_probes_answer_on_a_socket_handed_over():
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    probes = Probes("127.0.0.1", 1, Metrics(), listen_fd=listener.detach())
    assert probes.port == port
    assert fetch(port, "/health/live")[0] == 200
    probes.close()


@pytest.fixture
def restored_signals():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
