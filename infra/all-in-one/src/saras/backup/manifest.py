"""What a backup says of itself, and the tools both ways share."""

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

from saras.fleet import PACKAGES
from saras.home import Home
from saras.schemas import BUS
from saras_common.postgres import EmbeddedPostgres, binaries

FILE = "manifest.json"
HOME_FILES = ("secrets.json", "admin.json", "mode.json")
"""What the data cannot be used without."""

SCHEMAS = (*PACKAGES, BUS)
VERSION = 1


class BackupFailed(Exception):
    """A backup or a restore cannot go on; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """``sha256`` by file, ``rows`` by table (``schema.table``), counted in the moment the dumps are of."""

    version: int
    taken_at: str
    server: str
    schemas: list[str]
    sha256: dict[str, str]
    rows: dict[str, int]

    def write(self, folder: Path) -> None:
        """Keep it beside the dumps."""
        (folder / FILE).write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """The manifest of a backup; `BackupFailed` when there is none or a file is not what it says."""
        try:
            found = cls(**json.loads((folder / FILE).read_text()))
        except (OSError, ValueError, TypeError) as error:
            raise BackupFailed(f"{folder} holds no finished backup: {error}") from error
        if found.version != VERSION:
            raise BackupFailed(f"{folder} is a backup of version {found.version}; this code reads {VERSION}")
        for name, digest in found.sha256.items():
            path = folder / name
            if not path.exists() or digest_of(path) != digest:
                raise BackupFailed(f"{path} is missing or damaged: use another backup")
        return found


def digest_of(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def count_rows(connection: psycopg.Connection, schema: str) -> dict[str, int]:
    """Rows of every table of ``schema``, in the connection's snapshot."""
    query = "SELECT tablename FROM pg_tables WHERE schemaname = %s ORDER BY 1"
    counts = {}
    for (table,) in connection.execute(query, [schema]).fetchall():
        statement = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(schema, table))
        row = connection.execute(statement).fetchone()
        counts[f"{schema}.{table}"] = int(row[0]) if row else 0
    return counts


def run_tool(name: str, arguments: list[str], url: str) -> None:
    """One of PostgreSQL's programs on the server at ``url``; the password goes by the environment, not the list."""
    server = make_url(url)
    environment = {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "PGHOST": server.host or "127.0.0.1",
        "PGPORT": str(server.port or 5432),
        "PGUSER": server.username or "",
        "PGPASSWORD": str(server.password or ""),
        "PGDATABASE": server.database or "",
    }
    done = subprocess.run(  # noqa: S603 - PostgreSQL's own program
        [str(binaries() / name), *arguments], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BackupFailed(f"{name}: {done.stderr.strip()[-1000:]}")


@contextmanager
def server_of(home: Home, url: str | None) -> Iterator[str]:
    """The administrator's URL: the one given, else the home's own server, started if it does not run."""
    if url is not None:
        yield url
        return
    spread = home.services / "postgres"
    server = EmbeddedPostgres(spread if spread.exists() else home.postgres)
    try:
        yield server.start()
    finally:
        server.stop()
