"""`saras migrate` on a server that somebody else runs."""

from io import StringIO

import psycopg
import pytest
from rich.console import Console

from saras.errors import CannotStart
from saras.fleet import PACKAGES
from saras.migrating import migrate_all
from saras.settings import PlatformSettings


@pytest.fixture
def settings(postgres, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", postgres.empty_database())
    monkeypatch.setenv("SARAS_ROLE_PASSWORDS", ", ".join(f"{role}:only-for-tests" for role in (*PACKAGES, "bus")))
    return PlatformSettings.from_environment()


def test_it_makes_every_schema_and_may_be_repeated(settings):
    told = StringIO()
    for _ in range(2):
        assert migrate_all(settings, Console(file=told, width=300)) == 0
    with psycopg.connect(settings.database_url.get_secret_value()) as connection:
        found = {row[0] for row in connection.execute("SELECT nspname FROM pg_namespace").fetchall()}
        heads = [
            connection.execute(f"SELECT count(*) FROM {package}.alembic_version").fetchone()[0] for package in PACKAGES
        ]
    assert {*PACKAGES, "bus"} <= found
    assert heads == [1] * len(PACKAGES)
    assert "only-for-tests" not in told.getvalue()


def test_a_server_that_is_not_there_is_said(settings, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody:pw@127.0.0.1:1/saras")
    with pytest.raises(CannotStart, match="cannot be prepared now"):
        migrate_all(PlatformSettings.from_environment(), Console(file=StringIO()))
