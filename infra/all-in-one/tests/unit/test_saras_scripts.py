import importlib.util
import io
import subprocess
import sys
import urllib.error
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[4] / "scripts"


def load(name):
    spec = importlib.util.spec_from_file_location(f"saras_script_{name}", SCRIPTS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["seed", "load", "trigger_trades", "import_history"])
def test_help_says_what_it_does(name):
    done = subprocess.run(
        [sys.executable, SCRIPTS / f"{name}.py", "--help"], capture_output=True, text=True, check=True
    )
    assert "usage:" in done.stdout
    assert len(done.stdout.splitlines()) > 8


BATCH = {
    "id": "b1",
    "status": "DONE",
    "reason": "manual",
    "user_orders": 40,
    "broker_orders": 1,
    "saved": {"orders": 39, "rupees": "0.00", "seconds": "3.9"},
    "blocks": [
        {
            "instrument": "NSE:INFY",
            "side": "BUY",
            "quantity": 100,
            "filled_quantity": 60,
            "average_price": "1500.00",
            "value": "90000.00",
            "allocations": [{}] * 40,
        }
    ],
}


def test_trigger_waits_for_the_end_and_prints_a_table(monkeypatch, capsys):
    script = load("trigger_trades")
    answers = iter([{"access_token": "t"}, {"batch_id": "b1"}, {**BATCH, "status": "WORKING"}, BATCH])
    asked = []

    def call(_url, method, path, token=None, body=None):
        asked.append((method, path, token, body))
        return next(answers)

    monkeypatch.setattr(script, "call", call)
    monkeypatch.setattr(script, "POLL_S", 0)
    monkeypatch.setenv("SARAS_ADMIN_PASSWORD", "pw")
    assert script.main(["--url", "http://x", "--email", "a@b"]) == 0
    printed = capsys.readouterr().out
    assert "40 orders in, 1 broker orders out" in printed
    assert "NSE:INFY" in printed
    assert asked[0][3] == {"email": "a@b", "password": "pw"}
    assert asked[1][:3] == ("POST", "/admin/execution/run", "t")


def test_an_empty_window_is_said(monkeypatch, capsys):
    script = load("trigger_trades")
    answers = iter([{"access_token": "t"}, {"batch_id": None}])
    monkeypatch.setattr(script, "call", lambda *_a, **_k: next(answers))
    monkeypatch.setenv("SARAS_ADMIN_PASSWORD", "pw")
    assert script.main([]) == 0
    assert "empty" in capsys.readouterr().out


def test_a_refusal_is_one_line(monkeypatch, capsys):
    script = load("trigger_trades")

    def refuse(*_args, **_kwargs):
        body = io.BytesIO(b'{"code": "unauthenticated", "detail": "Sign in first"}')
        raise urllib.error.HTTPError("http://x", 401, "no", {}, body)

    monkeypatch.setattr(script.urllib.request, "urlopen", refuse)
    monkeypatch.setenv("SARAS_ADMIN_PASSWORD", "pw")
    assert script.main([]) == 1
    assert capsys.readouterr().err == "trigger_trades: POST /login: 401 unauthenticated Sign in first\n"


@pytest.mark.parametrize("name", ["seed", "load"])
def test_without_a_platform_it_says_how_to_get_one(name, tmp_path, capsys):
    assert load(name).main(["--home", str(tmp_path)]) == 1
    assert "saras up" in capsys.readouterr().err


def test_percentiles_are_nearest_rank():
    script = load("load")
    assert script.percentile(range(1, 101), 50) == 50
    assert script.percentile(range(1, 101), 99) == 99
    assert script.percentile([7.0], 99) == 7.0
    assert script.percentile([], 50) == 0.0
