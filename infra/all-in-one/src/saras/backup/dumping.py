"""Take a backup while everything runs: nobody waits for it."""

import shutil
from datetime import datetime
from pathlib import Path

import psycopg

from saras.backup.manifest import (
    HOME_FILES,
    SCHEMAS,
    VERSION,
    BackupFailed,
    Manifest,
    count_rows,
    digest_of,
    run_tool,
)
from saras.evidence import FILE as WITNESSED
from saras.home import Home


def back_up(url: str, home: Home, folder: Path, now: datetime) -> Path:
    """A backup below ``folder``, named for the moment; its folder. It exists only once it is complete.

    One transaction exports its snapshot, every dump is taken in it: the books of all services are of one instant,
    without a lock that anybody would notice.
    """
    target = folder / f"saras-{now:%Y%m%dT%H%M%SZ}"
    unfinished = target.with_suffix(".unfinished")
    if target.exists():
        raise BackupFailed(f"{target} is there already")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True, mode=0o700)
    with psycopg.connect(url) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        snapshot = _text(connection, "SELECT pg_export_snapshot()")
        schemas = [schema for schema in SCHEMAS if _exists(connection, schema)]
        if not schemas:
            raise BackupFailed("the database holds nothing of ours: nothing to back up")
        rows: dict[str, int] = {}
        for schema in schemas:
            rows |= count_rows(connection, schema)
            options = ["--format=custom", f"--schema={schema}", f"--snapshot={snapshot}", "--no-owner"]
            run_tool("pg_dump", [*options, f"--file={unfinished / schema}.dump"], url)
        server = _text(connection, "SHOW server_version")
    for name in HOME_FILES:
        if (home.path / name).exists():
            shutil.copy2(home.path / name, unfinished / name)
    if (home.path / WITNESSED).exists():
        whole_lines = (home.path / WITNESSED).read_bytes().rpartition(b"\n")
        (unfinished / WITNESSED).write_bytes(whole_lines[0] + whole_lines[1])
    digests = {path.name: digest_of(path) for path in sorted(unfinished.iterdir())}
    Manifest(VERSION, now.isoformat(), server, schemas, digests, rows).write(unfinished)
    unfinished.rename(target)
    return target


def _exists(connection: psycopg.Connection, schema: str) -> bool:
    return connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [schema]).fetchone() is not None


def _text(connection: psycopg.Connection, query: str) -> str:
    row = connection.execute(query).fetchone()
    return "" if row is None else str(row[0])
