"""The commands and the wiring: over HTTP to the book, over both buses from the book's outbox."""

import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
import pytest

from analytics_service.app import wire, workers
from analytics_service.book import nowhere, over_http
from saras_common.errors import Unavailable
from saras_common.events import pack
from saras_common.testing import free_port


@pytest.fixture
def book_over_http(service):
    """The book's answers behind a real port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            status, body = service.book.ask(self.path, self.headers)
            self.send_response(500 if service.book.is_failing else status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    service.book.is_failing = False
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_the_book_is_asked_over_http(service, book_over_http):
    user = service.user(cash=123, deposited=200)
    settings = service.settings.model_copy(update={"portfolio_service_url": book_over_http})
    book = wire(settings, clock=service.clock).book
    assert (book.find(user).cash, book.find(user).deposited) == (123, 200)
    assert [found.user_id for page in book.pages(1) for found in page] == [user]
    service.book.is_failing = True
    with pytest.raises(Unavailable):
        book.find(user)


def test_a_book_that_cannot_be_reached_is_unavailable(service):
    with pytest.raises(Unavailable):
        over_http(f"http://127.0.0.1:{free_port()}")("/internal/books", {})
    with pytest.raises(Unavailable):
        nowhere("/internal/books", {})
    with pytest.raises(ValueError, match="host"):
        over_http("portfolio-service:8000")


def test_what_the_bus_brings_is_stored_whatever_comes_twice(service, both_buses):
    user = service.user()
    settings = service.settings.model_copy(update={"broker_url": type(service.settings.broker_url)(both_buses.url)})
    bus = both_buses.connect()
    stop = threading.Event()
    made = workers(settings, clock=service.clock, ask_book=service.book.ask)
    threads = [threading.Thread(target=worker.run, args=(stop,), name=worker.name) for worker in made]
    for thread in threads:
        thread.start()
    try:
        messages = list(pack([service.posting(user), service.posting(user, "SELL", 4, 640_000)]))
        bus.publish(messages)
        bus.publish(messages)
        deadline = time.monotonic() + 30
        while service.scalar("SELECT count(*) FROM trades") < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        stop.set()
        for thread in threads:
            thread.join(20)
    assert not any(thread.is_alive() for thread in threads)
    assert service.rows("SELECT quantity, realised_paise, trades FROM positions") == [(6, 40_000, 2)]


@pytest.mark.parametrize("name", ["consume", "relay", "worker"])
def test_each_loop_is_a_process_that_ends_when_told(service, name):
    environment = {
        **os.environ,
        "DATABASE_URL": service.settings.database_url.get_secret_value(),
        "BROKER_URL": service.settings.broker_url.get_secret_value(),
        "INTERNAL_TOKEN_KEY": service.settings.internal_token_key.get_secret_value(),
        "PROBE_PORT": str(free_port()),
    }
    process = subprocess.Popen([sys.executable, "-m", "analytics_service", name], env=environment)
    try:
        deadline = time.monotonic() + 60
        while True:
            assert process.poll() is None
            assert time.monotonic() < deadline
            try:
                url = f"http://127.0.0.1:{environment['PROBE_PORT']}/health/live"
                assert httpx2.get(url, timeout=2).json() == {"status": "ok"}
                break
            except httpx2.TransportError:
                time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
