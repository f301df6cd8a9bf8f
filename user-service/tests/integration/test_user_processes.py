"""The commands and the wiring."""

import os
import signal
import subprocess
import sys
import threading
import time

import httpx2
import pytest

from saras_common.errors import Unavailable
from saras_common.testing import free_port
from user_service import __main__ as command
from user_service import tasks
from user_service.app import create_app, first_start, workers

KEY = "internal-key-of-the-tests-32-bytes-long"


@pytest.fixture
def environment(user_database, monkeypatch):
    values = {
        "DATABASE_URL": user_database.url,
        "BROKER_URL": user_database.bus_url,
        "INTERNAL_TOKEN_KEY": KEY,
        "USER_DATA_KEYS": "ZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGQ=",
        "SARAS_ADMIN_EMAIL": "boss@example.com",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return {**os.environ, **values}


def test_the_api_process_starts_shows_the_password_once_and_stops(environment):
    port = free_port()

    def start():
        arguments = [sys.executable, "-m", "user_service", "api"]
        process = subprocess.Popen(arguments, env={**environment, "PORT": str(port)}, stderr=subprocess.PIPE, text=True)
        for _ in range(200):
            try:
                return process, httpx2.get(f"http://127.0.0.1:{port}/health/ready", timeout=2)
            except httpx2.TransportError:
                time.sleep(0.1)
        process.kill()
        pytest.fail(process.communicate()[1])

    shown = []
    for _ in range(2):
        process, ready = start()
        assert ready.json() == {"status": "ok", "dependencies": {"database": "ok"}}
        process.send_signal(signal.SIGTERM)
        shown.append(process.communicate(timeout=20)[1])
    assert shown[0].count("shown once") == 1
    assert "shown once" not in shown[1]


def test_first_start_uses_the_given_password_and_shows_none(settings_of):
    settings = settings_of(admin_email="boss@example.com", admin_password="given-Orchard-77")
    assert first_start(settings) is None
    assert first_start(settings) is None


def test_keys_are_rotated_by_command(environment, capsys):
    command.main(["rotate-keys"])
    command.main(["rotate-keys", "--compromised"])
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("new signing key ")
    assert first != second


def test_migrate_may_run_again(user_database, environment, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", user_database.admin_url)
    command.main(["migrate"])


def test_an_unknown_command_is_refused(environment, capsys):
    with pytest.raises(SystemExit):
        command.main(["sing"])
    assert "invalid choice" in capsys.readouterr().err


def test_workers_run_until_they_are_stopped(settings_of):
    stop = threading.Event()
    loops = workers(settings_of())
    assert [worker.name for worker in loops] == ["user-service.relay", "user-service.upkeep"]
    threads = [threading.Thread(target=worker.run, args=(stop,)) for worker in loops]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    stop.set()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def test_upkeep_survives_a_database_that_is_down(settings_of, monkeypatch):
    stop, tries = threading.Event(), []

    def fail(_ctx):
        tries.append(1)
        stop.set()
        raise Unavailable

    monkeypatch.setattr(tasks.usecases, "tidy", fail)
    tasks.run_upkeep(create_app(settings_of()).state.context, stop)
    assert tries == [1]


def test_a_database_that_is_down_is_a_503_with_retry_after(settings_of):
    from fastapi.testclient import TestClient

    from saras_common.auth import InternalTokens, anonymous
    from saras_common.clock import SystemClock

    url = f"postgresql://user_service:x@127.0.0.1:{free_port()}/nowhere"
    clock = SystemClock()
    token = InternalTokens(KEY.encode(), clock).mint(anonymous(clock.now().timestamp() + 60), "user-service")
    with TestClient(create_app(settings_of(database_url=url))) as client:
        body = {"email": "asha@example.com", "password": "plum-Orchard-77"}
        answer = client.post("/login", json=body, headers={"X-Internal-Token": token})
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) >= 1
        assert client.get("/health/ready").status_code == 503
        assert client.get("/health/live").status_code == 200


def test_secrets_do_not_show(settings_of):
    shown = repr(settings_of(admin_password="given-Orchard-77"))
    for secret in ("given-Orchard-77", KEY, "ZGRk", "only-for-tests"):
        assert secret not in shown
