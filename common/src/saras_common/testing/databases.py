"""Fresh migrated databases in milliseconds: copied from a template that is migrated once a session."""

import itertools
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy import MetaData
from sqlalchemy.engine import make_url

from saras_common.db import Database, find_drift, migrate, provision, schema_of
from saras_common.postgres import EmbeddedPostgres

PASSWORD = "only-for-tests"  # noqa: S105 - of servers that live as long as a test session
FAST = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "64MB", "autovacuum_naptime": "5s"}


@dataclass(frozen=True, slots=True)
class MigratedDatabase:
    """One database; ``url`` is the first package's role, ``urls`` has every role's, ``bus_url`` the bus'."""

    url: str
    schema: str
    admin_url: str
    urls: Mapping[str, str]

    @property
    def bus_url(self) -> str:
        return self.urls["bus"]

    def connect(self, schema: str | None = None, *, pool_size: int = 8) -> Database:
        """A `Database` of one role; whoever asks disposes it."""
        name = schema or self.schema
        return Database(self.urls[name], schema=name, pool_size=pool_size)


class PostgresForTests:
    """One server for a test session, embedded unless SARAS_TEST_POSTGRES_URL names another."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="saras-postgres-", ignore_cleanup_errors=True)
        Path(self._folder.name).chmod(0o711)  # in containers root's server runs as nobody, who must get through
        self._server = EmbeddedPostgres(Path(self._folder.name) / "home", settings=FAST)
        self._given = os.environ.get("SARAS_TEST_POSTGRES_URL", "")
        self.admin_url = self._given or self._server.start()
        self._templates: dict[tuple[str, ...], Mapping[str, str]] = {}
        self._numbers = itertools.count()

    def database_for(self, *packages: str) -> MigratedDatabase:
        """A fresh database with the schemas of ``packages`` (and the bus) at their heads."""
        template = self._templates.get(packages)
        if template is None:
            template = self._templates[packages] = self._make_template(packages)
        name = self._create(next(iter(template.values())))
        first = schema_of(packages[0]) if packages else "bus"
        urls = {role: _in_database(url, name) for role, url in template.items()}
        return MigratedDatabase(urls[first], first, _in_database(self.admin_url, name), urls)

    def empty_database(self) -> str:
        """The admin's URL of a database with nothing in it."""
        return _in_database(self.admin_url, self._create())

    def drop(self, database: MigratedDatabase) -> None:
        """End a database; connections to it are cut."""
        self._execute(sql.SQL("DROP DATABASE {} WITH (FORCE)"), make_url(database.admin_url).database or "")

    def stop(self) -> None:
        self._server.stop()
        self._folder.cleanup()

    def _make_template(self, packages: tuple[str, ...]) -> Mapping[str, str]:
        admin_url = self.empty_database()
        urls = provision(admin_url, {schema_of(package): PASSWORD for package in (*packages, "saras_common.bus")})
        for package in packages:
            migrate(admin_url, package)
        return urls

    def _create(self, template_url: str | None = None) -> str:
        name = f"test_{os.getpid()}_{next(self._numbers)}"
        template = make_url(template_url).database if template_url else "template0"
        self._execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}"), name, template or "")
        return name

    def _execute(self, statement: sql.SQL, *names: str) -> None:
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            connection.execute(statement.format(*(sql.Identifier(name) for name in names)))


def assert_no_drift(url: str, package: str, metadata: MetaData) -> None:
    """The models say what the migrations made. ``url`` is the admin's, of a database migrated for ``package``."""
    drift = find_drift(url, metadata)
    assert not drift, f"{package}: models and migrations differ: {drift}"


def _in_database(url: str, name: str) -> str:
    return make_url(url).set(database=name).render_as_string(hide_password=False)
