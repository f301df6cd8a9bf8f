import multiprocessing
import os
import subprocess
import sys

import pytest

from saras.errors import CannotStart
from saras.home import Credentials, Home, Running, read_private, write_private


def test_secrets_are_made_once_and_private(tmp_path):
    first = Home(tmp_path).vault().get("a", "b")
    again = Home(tmp_path).vault().get("b", "c", "a")
    assert first["a"] == again["a"]
    assert first["b"] == again["b"]
    assert len(set(again.values())) == 3
    assert all(len(secret) == 43 for secret in again.values())
    assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600


def test_secrets_others_may_read_are_refused(tmp_path):
    Home(tmp_path).vault().get("a")
    (tmp_path / "secrets.json").chmod(0o640)
    with pytest.raises(CannotStart, match="chmod 600"):
        Home(tmp_path).vault()


def test_damaged_secrets_are_not_replaced(tmp_path):
    write_private(tmp_path / "secrets.json", {"a": "x"})
    (tmp_path / "secrets.json").write_text('{"a": "x')
    with pytest.raises(CannotStart, match="damaged"):
        Home(tmp_path).vault()


def test_a_file_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "x.json"
    write_private(path, {"n": 1})
    (tmp_path / "x.new").write_text("left by a crash")
    write_private(path, {"n": 2})
    assert read_private(path) == {"n": 2}
    assert read_private(tmp_path / "none.json") is None


def test_a_login_is_kept_and_does_not_show(tmp_path):
    home = Home(tmp_path)
    assert home.find_credentials() is None
    home.remember(Credentials("a@b.example", "pass word"))
    assert home.find_credentials() == Credentials("a@b.example", "pass word")
    assert "pass word" not in repr(home.find_credentials())
    assert (tmp_path / "admin.json").stat().st_mode & 0o777 == 0o600


def test_one_home_has_one_holder(tmp_path):
    with Home(tmp_path / "h").held():
        code = (
            "import sys; from pathlib import Path; from saras.home import Home\n"
            "from saras.errors import CannotStart\n"
            "try:\n  Home(Path(sys.argv[1])).held().__enter__()\n"
            "except CannotStart as e:\n  print(e)"
        )
        said = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "h")], capture_output=True, text=True, check=True
        ).stdout
        assert f"in use by process {os.getpid()}" in said
        assert "SARAS_HOME" in said
    with Home(tmp_path / "h").held():
        pass  # free again


def test_a_dead_platform_is_not_running(tmp_path):
    home = Home(tmp_path)
    process = multiprocessing.get_context("spawn").Process(target=int)
    process.start()
    process.join()
    with home.announced(Running(os.getpid(), "http://127.0.0.1:1", None)):
        assert home.find_running() == Running(os.getpid(), "http://127.0.0.1:1", None)
    assert home.find_running() is None
    with home.announced(Running(process.pid or 0, "http://127.0.0.1:1", None)):
        assert home.find_running() is None


def test_a_home_stays_in_its_mode(tmp_path):
    Home(tmp_path).claim_mode("sandbox")
    Home(tmp_path).claim_mode("sandbox")
    with pytest.raises(CannotStart, match="SARAS_HOME"):
        Home(tmp_path).claim_mode("live")
