import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psycopg
import pytest

from saras_common import postgres
from saras_common.postgres import EmbeddedPostgres, PostgresFailed

OWNER = """
import sys, time
from pathlib import Path
from saras_common.postgres import EmbeddedPostgres

print(EmbeddedPostgres(Path(sys.argv[1])).start(), flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("embedded") / "home"


@pytest.fixture
def server(home):
    server = EmbeddedPostgres(home)
    yield server
    server.stop()


def ask(url, query="SELECT 1"):
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(query).fetchone()[0]


def postmaster(home) -> int:
    return int((home / "data" / "postmaster.pid").read_text().splitlines()[0])


def owner_process(home):
    process = subprocess.Popen([sys.executable, "-c", OWNER, str(home)], stdout=subprocess.PIPE, text=True)
    return process, process.stdout.readline().strip()


def test_starts_keeps_its_data_and_starts_again_within_a_second(server, home):
    url = server.start()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (i int)")
        connection.execute("INSERT INTO kept VALUES (7)")
    server.stop()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)
    started = time.monotonic()
    again = server.start()
    assert time.monotonic() - started < 1
    assert again == url
    assert ask(again, "SELECT max(i) FROM kept") == 7


def test_it_is_durable_closed_and_asks_for_the_password(server, home):
    url = server.start()
    for setting, value in {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}.items():
        assert ask(url, f"SHOW {setting}") == value
    assert ask(url, "SHOW listen_addresses") == "127.0.0.1"
    assert ask(url, "SHOW unix_socket_directories") == ""
    password = (home / "admin-password").read_text()
    assert (home / "admin-password").stat().st_mode & 0o777 == 0o600
    with pytest.raises(psycopg.OperationalError, match="password authentication failed") as caught:
        psycopg.connect(url.replace(password, "guess"))
    assert password not in str(caught.value)


def test_starting_twice_is_starting_once(server, home):
    assert server.start() == server.start()
    assert server.owned
    second = EmbeddedPostgres(home)
    assert ask(second.start()) == 1
    assert not second.owned
    second.stop()
    assert ask(server.start()) == 1


def test_a_running_server_is_shared_and_left_to_its_owner(server, home):
    owner, url = owner_process(home)
    with owner:
        assert server.start() == url
        assert not server.owned
        server.stop()
        assert ask(url) == 1
        owner.kill()


def test_killing_the_owner_ends_the_server(home):
    owner, url = owner_process(home)
    pid = postmaster(home)
    with owner:
        owner.kill()
    deadline = time.monotonic() + 10
    while postgres._is_postgres(pid, home / "data"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)


def test_a_start_right_after_the_owner_was_killed(server, home):
    owner, url = owner_process(home)
    with owner:
        owner.kill()
    assert server.start() == url
    assert server.owned
    assert ask(url) == 1


def test_a_killed_server_recovers(server, home):
    url = server.start()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS crash (i int)")
        connection.execute("INSERT INTO crash VALUES (1)")
    os.kill(postmaster(home), signal.SIGKILL)
    server.stop()
    assert (home / "data" / "postmaster.pid").exists()
    assert ask(server.start(), "SELECT count(*) FROM crash") == 1


def test_a_killed_server_comes_back_to_its_url_even_if_something_clings_to_the_port(server, home):
    url = server.start()
    os.kill(postmaster(home), signal.SIGKILL)
    server.process.wait(10)
    with socket.socket() as clinging:
        clinging.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        clinging.bind(("127.0.0.1", int(url.rsplit(":", 1)[1].partition("/")[0])))
        clinging.listen()
        threading.Timer(0.5, clinging.close).start()
        server.stop()
        assert server.start() == url
    assert ask(url) == 1


def test_a_server_without_an_owner_is_replaced(server, home):
    """Its guard was killed as well: nobody would ever end it."""
    url = server.start()
    (home / "owner").write_text("1")
    second = EmbeddedPostgres(home)
    before = postmaster(home)
    assert second.start() == url
    assert second.owned
    assert postmaster(home) != before
    second.stop()


def test_a_stale_pid_of_a_stranger_is_left_alone(server, home):
    server.start()
    server.stop()
    (home / "data" / "postmaster.pid").write_text(f"{os.getpid()}\n{home / 'data'}\n0\n1\n\n127.0.0.1\n\nready\n")
    assert ask(server.start()) == 1


def test_a_taken_port_is_named_when_asked_for_and_changed_when_not(home):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PostgresFailed, match=str(port)):
            EmbeddedPostgres(home, port=port).start()
        (home / "port").write_text(str(port))
        server = EmbeddedPostgres(home)
        assert f":{port}/" not in server.start()
        server.stop()


def test_an_unfinished_initdb_is_begun_again(tmp_path):
    (tmp_path / "home" / "data.new").mkdir(parents=True)
    (tmp_path / "home" / "data.new" / "PG_VERSION").write_text("18")
    server = EmbeddedPostgres(tmp_path / "home")
    assert ask(server.start()) == 1
    server.stop()


def test_another_versions_home_is_refused_in_words(tmp_path):
    (tmp_path / "home" / "data").mkdir(parents=True)
    (tmp_path / "home" / "data" / "PG_VERSION").write_text("9")
    with pytest.raises(PostgresFailed, match="made by PostgreSQL 9"):
        EmbeddedPostgres(tmp_path / "home").start()


def test_a_server_that_cannot_run_says_why(home):
    server = EmbeddedPostgres(home, settings={"shared_buffers": "nonsense"})
    with pytest.raises(PostgresFailed, match="nonsense"):
        server.start()
    server.stop()


@pytest.mark.parametrize("mode", [0o711, 0o700])
def test_without_user_namespaces_it_runs_as_nobody(monkeypatch, mode):
    """Most containers forbid namespaces; then the data belongs to nobody, and stays so, in a folder of root's too."""
    if os.geteuid() != 0:
        pytest.skip("only root has to become somebody else")
    works = postgres._works
    monkeypatch.setattr(
        postgres, "_works", lambda command, user=None: "--map-user=65534" not in command and works(command, user=user)
    )
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(mode)
        for _ in "made", "started again":
            server = EmbeddedPostgres(Path(folder) / "home")
            assert ask(server.start()) == 1
            server.stop()
            assert (Path(folder) / "home" / "data").stat().st_uid == 65534


def test_a_folder_nobody_can_reach_is_named(monkeypatch):
    if os.geteuid() != 0:
        pytest.skip("only root has to become somebody else")
    monkeypatch.setattr(postgres, "_works", lambda _command, **_: False)
    with tempfile.TemporaryDirectory() as folder, pytest.raises(PostgresFailed, match="/srv"):
        EmbeddedPostgres(Path(folder) / "home").start()
