import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest

from saras.client import Http
from saras.home import Home
from saras.ports import is_free
from saras.process import PlatformProcess
from saras.settings import child_environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

BARE = {"DATABASE_URL": "", "BROKER_URL": "", "REDIS_URL": "", "SARAS_MODE": "sandbox"}


def saras(*arguments, home, **environment):
    """One command to its end: exit code, standard output and error."""
    done = subprocess.run(
        [sys.executable, "-m", "saras", *arguments],
        env=child_environment({**BARE, "SARAS_HOME": str(home), "COLUMNS": "200", **environment}),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.returncode, done.stdout, done.stderr


def family(platform):
    return psutil.Process(platform.process.pid).children(recursive=True)


def sandboxes(platform):
    found = []
    for process in family(platform):
        with contextlib.suppress(psutil.NoSuchProcess):  # it may end while we look
            found += [process] if "kite_sandbox" in " ".join(process.cmdline()) else []
    return found


def until_gone(processes, timeout_s=10):
    _, alive = psutil.wait_procs(processes, timeout_s)
    assert not alive, [process.cmdline() for process in alive]


def test_start_stop_start_and_kill(tmp_path):
    platform = PlatformProcess(tmp_path / "home", BARE)
    platform.start()
    children = family(platform)
    assert sandboxes(platform)
    started = time.monotonic()
    assert platform.stop() == 0
    assert time.monotonic() - started < 8
    until_gone(children, 1)
    assert is_free("127.0.0.1", platform.port)
    assert is_free("127.0.0.1", platform.sandbox_port)
    assert "Traceback" not in platform.output.read_text()

    first = json.loads((platform.home / "secrets.json").read_text())
    platform.start()
    children = family(platform)
    platform.kill()
    until_gone(children)  # PostgreSQL and the sandbox do not outlive it
    seconds = platform.start()  # at once, on the same ports
    assert json.loads((platform.home / "secrets.json").read_text()) == first
    assert seconds < 15  # the figure of the issue (5 s on an idle machine) is the bench's to show
    assert platform.stop() == 0


def test_a_sandbox_that_dies_comes_back(tmp_path):
    with PlatformProcess(tmp_path / "home", BARE) as platform:
        (sandbox,) = sandboxes(platform)
        sandbox.kill()
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            found = sandboxes(platform)
            if found and found[0].pid != sandbox.pid and not is_free("127.0.0.1", platform.sandbox_port):
                break
            time.sleep(0.1)
        else:
            pytest.fail("the sandbox did not come back")


def test_a_second_platform_on_the_same_home_is_told_so(tmp_path):
    with PlatformProcess(tmp_path / "home", BARE) as platform:
        code, _, error = saras("up", home=platform.home)
        assert code == 1
        assert f"in use by process {platform.process.pid}" in error
        assert "SARAS_HOME" in error


@pytest.mark.parametrize("variable", ["SARAS_PORT", "SARAS_SANDBOX_PORT"])
def test_a_busy_port_is_named(tmp_path, variable):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        other = {"SARAS_PORT": "0", "SARAS_SANDBOX_PORT": "0"}
        with socket.create_server(("127.0.0.1", 0)) as spare:
            other = {name: str(spare.getsockname()[1]) for name in other}
        code, _, error = saras("up", home=tmp_path / "home", **{**other, variable: str(port)})
    assert code == 1
    assert f"port {port}" in error
    assert f"process {os.getpid()}" in error
    assert f"{variable}={port + 1}" in error
    assert not (tmp_path / "home" / "postgres").exists()  # nothing was begun


def test_live_mode_is_guarded(tmp_path):
    code, out, error = saras("up", home=tmp_path / "home", SARAS_MODE="live")
    assert code == 1
    assert "real money" in out
    assert "--i-am-licensed" in error
    assert not (tmp_path / "home").exists()


def test_wrong_service_settings_are_named(tmp_path):
    code, _, error = saras("up", home=tmp_path / "home", SARAS_WINDOW_S="-3")
    assert code == 1
    assert "SARAS_WINDOW_S" in error
    assert "Traceback" not in error


def test_ctrl_c_at_a_terminal_ends_it_quietly(tmp_path):
    platform = PlatformProcess(tmp_path / "home", BARE)
    platform.start()
    children = family(platform)
    # a terminal sends SIGINT to the whole foreground group, children included
    os.killpg(platform.process.pid, signal.SIGINT)
    assert platform.process.wait(20) == 0
    until_gone(children)
    printed = platform.output.read_text()
    assert printed.rstrip().endswith("the next start goes on from here.")
    assert "Traceback" not in printed


def test_commands_say_when_nothing_runs(tmp_path):
    for command in (["status"], ["trigger"], ["halt", "why"], ["resume"], ["reconcile"], ["verify", "x"]):
        code, _, error = saras(*command, home=tmp_path, SARAS_ADMIN_PASSWORD="p" * 16, SARAS_PORT="9")
        assert code == 1
        assert "saras up" in error
    code, _, error = saras("status", home=tmp_path)
    assert code == 1
    assert "SARAS_ADMIN_PASSWORD" in error


def test_demo_users_and_the_admin_commands(tmp_path):
    platform = PlatformProcess(tmp_path / "home", {**BARE, "SARAS_WINDOW_S": "600"}, ("--demo-users",))
    with platform:
        deadline = time.monotonic() + 30
        while "password of each" not in platform.output.read_text() and time.monotonic() < deadline:
            time.sleep(0.1)
        printed = platform.output.read_text()
        assert platform.url in printed
        assert platform.sandbox_url in printed
        email = next(word.rstrip(",") for word in printed.split() if word.startswith("asha@"))
        password = printed.split("password of each: ")[1].split()[0]
        with Http(platform.url) as http:
            token = http.send("POST", "/api/v1/login", {"email": email, "password": password}).body["access_token"]
            signed = {"Authorization": f"Bearer {token}"}
            order = {"instrument": "NSE:INFY", "quantity": 3, "order_type": "MARKET"}
            assert http.send("POST", "/api/v1/buy", order, signed).status == 202
            while http.send("GET", "/api/v1/orders", None, signed).body["items"][0]["status"] == "ACCEPTED":
                time.sleep(0.1)

        run = {"home": platform.home}
        code, out, error = saras("status", **run)
        assert code == 0, error
        assert "sandbox" in out
        code, out, error = saras("trigger", **run)
        assert code == 0, error
        assert "NSE:INFY" in out
        batch = out.split("Batch ")[1].split(":")[0]
        code, out, error = saras("verify", batch, **run)
        assert (code, "ok" in out) == (0, True), out + error
        code, out, _ = saras("trigger", **run)
        assert "empty" in out
        code, out, error = saras("halt", "just a test", **run)
        assert code == 0, error
        assert "just a test" in saras("status", **run)[1]
        assert saras("resume", **run)[0] == 0
        code, out, error = saras("reconcile", **run)
        assert code == 0, out + error
        assert "NSE:INFY" in out
        assert Home(platform.home).find_running().url == platform.url

    again = PlatformProcess(
        tmp_path / "home", {**BARE, "SARAS_WINDOW_S": "600"}, ("--demo-users",), platform.port, platform.sandbox_port
    )
    with again, Http(again.url) as http:
        token = http.send("POST", "/api/v1/login", {"email": email, "password": password}).body["access_token"]
        funds = http.send("GET", "/api/v1/funds", None, {"Authorization": f"Bearer {token}"}).body
        assert 990_000 < float(funds["cash"]) < 1_000_000  # the deposit was made once, three shares were paid
