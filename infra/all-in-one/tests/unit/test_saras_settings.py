from pathlib import Path

import pytest

from saras.errors import CannotStart
from saras.settings import PlatformSettings


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    for name in ("HOME", "PORT", "SANDBOX_PORT", "MODE", "ADMIN_EMAIL", "ADMIN_PASSWORD", "LIVE_CONFIRMED", "HOST"):
        monkeypatch.delenv(f"SARAS_{name}", raising=False)
    for name in ("DATABASE_URL", "BROKER_URL", "REDIS_URL", "LOG_LEVEL"):
        monkeypatch.delenv(name, raising=False)


def test_defaults_need_nothing():
    settings = PlatformSettings.from_environment()
    assert (settings.home, settings.port, settings.sandbox_port, settings.mode) == (
        Path(".saras"),
        8000,
        8090,
        "sandbox",
    )
    assert settings.database_url is settings.broker_url is settings.redis_url is None
    assert settings.url == "http://127.0.0.1:8000"
    assert settings.sandbox_url == "http://127.0.0.1:8090"


def test_every_variable_is_read(monkeypatch):
    monkeypatch.setenv("SARAS_HOME", "/tmp/elsewhere")
    monkeypatch.setenv("SARAS_HOST", "0.0.0.0")
    monkeypatch.setenv("SARAS_PORT", "8123")
    monkeypatch.setenv("BROKER_URL", "amqp://guest:guest@127.0.0.1:5672")
    monkeypatch.setenv("SARAS_LIVE_CONFIRMED", "yes")
    settings = PlatformSettings.from_environment()
    assert settings.home == Path("/tmp/elsewhere")
    assert settings.url == "http://127.0.0.1:8123"  # reachable, though it listens everywhere
    assert settings.broker_url is not None
    assert settings.live_confirmed


def test_an_empty_variable_is_an_unset_one(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "")
    assert PlatformSettings.from_environment().database_url is None


def test_a_wrong_variable_is_named_and_its_value_is_not(monkeypatch):
    monkeypatch.setenv("SARAS_PORT", "99999")
    monkeypatch.setenv("SARAS_MODE", "s3cret-mode")
    with pytest.raises(CannotStart) as caught:
        PlatformSettings.from_environment()
    assert "SARAS_PORT" in str(caught.value)
    assert "SARAS_MODE" in str(caught.value)
    assert "s3cret-mode" not in str(caught.value)


def test_secrets_do_not_show(monkeypatch):
    monkeypatch.setenv("SARAS_ADMIN_PASSWORD", "hunter2-hunter2")
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:hunter2-hunter2@db/saras")
    assert "hunter2" not in repr(PlatformSettings.from_environment())
