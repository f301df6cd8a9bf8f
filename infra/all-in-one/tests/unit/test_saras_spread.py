"""What a spread-out platform tells its processes, remembers and shows."""

import json
import os
import socket
import subprocess
import sys
import time
from io import StringIO

import pytest
from rich.console import Console

from saras.errors import CannotStart
from saras.fleet import SERVICES
from saras.home import Home, Running
from saras.kept import KeptProcess
from saras.migrating import migrate_all
from saras.settings import PlatformSettings
from saras.spread.control import stop_detached
from saras.spread.environment import Surroundings, environment_of, process_name
from saras.spread.ports import KeptPorts
from saras.spread.roll import Entry, kept_roll, read_roll, state_of

PROCESSES = [(service, command) for service in SERVICES for command in service.processes]


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


@pytest.fixture
def around():
    return Surroundings(
        databases={service.package: f"postgresql://{service.package}:pw@127.0.0.1:1/saras" for service in SERVICES},
        broker_url="amqp://saras:pw@127.0.0.1:2/%2F",
        redis_url="redis://:pw@127.0.0.1:3/0",
        ports={process_name(*process): 20_000 + number for number, process in enumerate(PROCESSES)},
        own={
            "user-service": {"SARAS_ADMIN_EMAIL": "a@saras.local", "SARAS_ADMIN_PASSWORD": "for-user-service-alone"},
            "trade-executor": {"KITE_ROOT": "http://127.0.0.1:4", "KITE_ACCOUNTS": "main:key:secret"},
        },
    )


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_a_process_is_told_all_it_needs(service, around, home, monkeypatch):
    settings = PlatformSettings()
    for command in service.processes:
        for name, value in environment_of(service, command, around, settings, home.vault()).items():
            monkeypatch.setenv(name, value)
        made = service.settings_class()()
        port = around.ports[process_name(service, command)]
        assert (made.port, made.probe_port) == (port, 0 if command == "api" else port)
        assert made.mode == "sandbox"


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_a_process_is_not_told_other_services_secrets(service, around, home, monkeypatch):
    monkeypatch.setenv("SARAS_ADMIN_PASSWORD", "from-our-own-environment")
    monkeypatch.setenv("KITE_ACCOUNTS", "main:live:secret")
    monkeypatch.setenv("DATABASE_URL", "postgresql://administrator@everything")
    found = environment_of(service, "api", around, PlatformSettings(), home.vault())
    mine = {secret.variable for secret in service.secrets}
    others = {secret.variable for each in SERVICES for secret in each.secrets} - mine
    assert not others & set(found)
    assert mine <= set(found)
    told = set(found.values())
    assert not told & {"from-our-own-environment", "main:live:secret", "postgresql://administrator@everything"}
    others_databases = {url for package, url in around.databases.items() if package != service.package}
    assert not told & others_databases


def test_ports_stay_until_somebody_takes_them(tmp_path):
    path = tmp_path / "ports.json"
    first = KeptPorts(path).get("a", "b")
    assert first["a"] != first["b"]
    assert KeptPorts(path).get("a", "b", "c").items() >= first.items()
    with socket.socket() as thief:
        thief.bind(("127.0.0.1", first["a"]))
        thief.listen()
        second = KeptPorts(path).get("a", "b")
    assert second["a"] != first["a"]
    assert second["b"] == first["b"]


def test_the_roll_follows_and_goes_with_its_platform(tmp_path):
    path = tmp_path / "processes.json"
    entries = [Entry("x.api", os.getpid(), 0, 0, "x.log")]
    with kept_roll(path, lambda: list(entries)):
        deadline = time.monotonic() + 10
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert read_roll(path) == entries
        assert path.stat().st_mode & 0o077 == 0
    assert read_roll(path) == []


def test_states_are_seen_not_believed():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        assert state_of(Entry("x", os.getpid(), 0, port, "")) == "starting"
    assert state_of(Entry("x", os.getpid(), 0, 0, "")) == "up"
    assert state_of(Entry("x", None, 3, port, "")) == "down"


def test_a_kept_process_is_started_again_and_ends_when_told(tmp_path):
    log = tmp_path / "x.log"
    process = KeptProcess("x", ["http.server", "0", "--bind", "127.0.0.1"], dict(os.environ), log)
    process.start()
    first = process.pid
    os.kill(first, 9)
    deadline = time.monotonic() + 30
    while process.restarts == 0 or process.pid is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert process.pid != first
    process.stop(20)
    assert process.pid is None


@pytest.mark.parametrize(
    ("environment", "lacks"),
    [
        ({}, "DATABASE_URL"),
        ({"DATABASE_URL": "postgresql://x@127.0.0.1:1/x"}, "user_service"),
        ({"DATABASE_URL": "postgresql://x@127.0.0.1:1/x", "SARAS_ROLE_PASSWORDS": "user_service:a"}, "bus"),
    ],
)
def test_migrate_says_what_it_lacks(environment, lacks, monkeypatch):
    for name in ("DATABASE_URL", "SARAS_ROLE_PASSWORDS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(CannotStart, match=lacks):
        migrate_all(PlatformSettings.from_environment(), None)


def test_down_ends_nobody_elses_process(home):
    somebody = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        with home.announced(Running(somebody.pid, "http://127.0.0.1:1", None)):
            assert home.find_running() is not None
            told = StringIO()
            assert stop_detached(PlatformSettings(home=home.path), Console(file=told)) == 0
            assert "No platform runs" in told.getvalue()
            assert somebody.poll() is None
    finally:
        somebody.kill()
        somebody.wait()


def test_a_held_home_says_so(home):
    assert not home.is_held
    with home.held():
        assert home.is_held
    assert not home.is_held


def test_a_vault_keeps_keys_of_thirty_two_bytes(home):
    key = home.vault().get_key("data_key")
    assert key == home.vault().get_key("data_key")
    assert len(json.dumps(key)) == 46
