"""What a spread-out platform tells its processes, remembers and shows."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from io import StringIO

import pytest
from rich.console import Console

from saras.errors import CannotStart, CommandFailed
from saras.fleet import SERVICES
from saras.home import Home, Running, read_private, write_private
from saras.kept import KeptProcess
from saras.migrating import migrate_all
from saras.settings import PlatformSettings
from saras.spread.control import stop_detached
from saras.spread.environment import Surroundings, environment_of, process_name
from saras.spread.ports import KeptPorts
from saras.spread.restart import Restarter
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
    monkeypatch.setenv("SARAS_ROLE_PASSWORDS", "user_service:of-a-role")
    monkeypatch.setenv("NOTIFY_SMTP_PASSWORD", "of-our-mail")
    found = environment_of(service, "api", around, PlatformSettings(), home.vault())
    mine = {secret.variable for secret in service.secrets}
    others = {secret.variable for each in SERVICES for secret in each.secrets} - mine
    assert not others & set(found)
    assert mine <= set(found)
    told = set(found.values())
    assert not told & {"from-our-own-environment", "main:live:secret", "postgresql://administrator@everything"}
    assert "user_service:of-a-role" not in told
    assert ("of-our-mail" in told) == (service.name == "notification-service")
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


TELLER = """
import os, socket, sys
if os.path.exists(os.environ["BROKEN"]):
    sys.exit("broken")
listener = socket.socket(fileno=int(os.environ["LISTEN_FD"]))
if "READY_FD" in os.environ:
    os.write(int(os.environ["READY_FD"]), b"1")
while True:
    caller, _ = listener.accept()
    caller.sendall(str(os.getpid()).encode())
    caller.close()
"""


@pytest.fixture
def teller(tmp_path):
    """A process that tells its number to whoever calls; ``ask()`` calls it, ``broken`` stops new ones from starting."""
    (tmp_path / "teller.py").write_text(TELLER)
    broken = tmp_path / "broken"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "BROKEN": str(broken)}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = KeptProcess("x.api", ["teller"], environment, tmp_path / "x.log", listener=listener)

        def ask():
            with socket.create_connection(listener.getsockname(), 30) as caller:
                return int(caller.recv(16))

        process.start()
        yield process, ask, broken
        process.stop(10)


def test_a_process_is_followed_by_another_on_its_socket(teller):
    process, ask, _ = teller
    first = ask()
    process.replace()
    assert ask() == process.pid != first
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)
    assert process.restarts == 0
    os.kill(process.pid, signal.SIGKILL)  # callers wait until there is another one
    assert ask() == process.pid != first
    assert process.restarts == 1


def test_a_process_whose_follower_fails_goes_on(teller):
    process, ask, broken = teller
    first = ask()
    broken.touch()
    with pytest.raises(CommandFailed, match=r"x\.api.*broken"):
        process.replace()
    assert ask() == process.pid == first


@pytest.fixture
def carried_out(home, teller):
    """``carried_out(migrate, *services)``: a wish, and what became of it."""
    process, _, _ = teller

    def ask(migrate, *services):
        restarter = Restarter(home, [process], migrate)
        restarter.start()
        write_private(home.wish, {"id": "w", "services": services})
        deadline = time.monotonic() + 30
        while not ((found := read_private(home.progress)) and found["ended"]):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        restarter.stop()
        return found["done"], found["failed"]

    return ask


def test_a_wish_is_carried_out_after_the_migrations(carried_out, teller):
    process, ask, _ = teller
    first, seen = ask(), []
    assert carried_out(lambda: seen.append(process.pid), "x", "y") == (["x.api"], None)
    assert seen == [first]
    assert ask() != first


def test_nothing_is_replaced_when_the_migrations_fail(carried_out, teller):
    _, ask, _ = teller
    first = ask()

    def fail():
        raise CommandFailed("no lock")

    assert carried_out(fail, "x") == ([], "no lock")
    assert ask() == first


def test_only_the_services_named_are_replaced(carried_out, teller):
    _, ask, _ = teller
    first = ask()
    assert carried_out(lambda: None, "y") == ([], None)
    assert ask() == first


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
