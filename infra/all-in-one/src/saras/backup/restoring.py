"""Put a backup into an empty server, check it, and leave the platform halted and in doubt of what it had begun."""

import shutil
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy.orm import Session

from portfolio_service.store import books
from saras.backup.manifest import HOME_FILES, BackupFailed, Manifest, count_rows, digest_of, run_tool
from saras.evidence import FILE as WITNESSED
from saras.home import Home
from saras_common.db import Database

HALTED = "restored from a backup: compare with the broker, then resume"

_DOUBT = [
    # Orders may have left after the backup: nothing more leaves until a person has looked.
    "UPDATE trade_executor.accounts SET halted = true, halt_reason = %(reason)s",
    # What was planned may have been sent since; it is looked for by its tag before anything is sent again.
    (
        "UPDATE trade_executor.intents SET state = 'UNKNOWN', sending_at = coalesce(sending_at, now()),"
        " clean_reads = 0, clean_since = NULL, reason = %(reason)s WHERE state IN ('PLANNED', 'SENDING')"
    ),
]


def restore(url: str, home: Home, folder: Path) -> Manifest:
    """The backup's manifest, once everything in it is in the server at ``url`` again and every rule of the book holds.

    `BackupFailed` when the backup is damaged, the server already holds something of ours, or the home's secrets are
    others. A failed restore leaves no schema half-filled: each is one transaction.
    """
    manifest = Manifest.read(folder)
    with psycopg.connect(url, autocommit=True) as connection:
        _require_empty(connection, manifest.schemas)
        _bring_home(home, folder)
        _make_roles(connection, manifest.schemas)
        for schema in manifest.schemas:
            options = ["--single-transaction", "--exit-on-error", "--no-owner", f"--dbname={connection.info.dbname}"]
            run_tool("pg_restore", [*options, str(folder / f"{schema}.dump")], url)
        _compare_rows(connection, manifest)
        _compare_book(url)
        _doubt(connection, manifest.schemas)
    return manifest


def _require_empty(connection: psycopg.Connection, schemas: list[str]) -> None:
    query = "SELECT nspname FROM pg_namespace WHERE nspname = ANY(%s)"
    found = [row[0] for row in connection.execute(query, [schemas]).fetchall()]
    if found:
        raise BackupFailed(f"the server holds {', '.join(found)} already: restore into an empty one, never over a book")


def _bring_home(home: Home, folder: Path) -> None:
    """The secrets the data is sealed with; never over others."""
    home.path.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in HOME_FILES:
        kept, saved = home.path / name, folder / name
        if not saved.exists():
            continue
        if not kept.exists():
            shutil.copy2(saved, kept)
        elif digest_of(kept) != digest_of(saved):
            raise BackupFailed(f"{kept} is another one than the backup's, which its data needs: move it away first")
    # What the witness saw lately is worth more than what it had seen by then: only a home that lost it gets it back.
    if (folder / WITNESSED).exists() and not (home.path / WITNESSED).exists():
        shutil.copy2(folder / WITNESSED, home.path / WITNESSED)


def _make_roles(connection: psycopg.Connection, schemas: list[str]) -> None:
    """Roles that grants in the dumps name; the next start gives them their passwords."""
    for schema in schemas:
        if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [schema]).fetchone() is None:
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(schema)))


def _compare_rows(connection: psycopg.Connection, manifest: Manifest) -> None:
    found: dict[str, int] = {}
    for schema in manifest.schemas:
        found |= count_rows(connection, schema)
    differing = {name: (count, found.get(name)) for name, count in manifest.rows.items() if found.get(name) != count}
    if differing:
        raise BackupFailed(f"tables with other row counts than in the backup: {differing}")


def _compare_book(url: str) -> None:
    """Every rule of the book, from its entries on."""
    database = Database(url, schema="portfolio_service", pool_size=1, statement_timeout_ms=0)
    try:
        with database.for_service() as session:
            faults = _faults(session)
    finally:
        database.dispose()
    if faults:
        raise BackupFailed(f"the restored book breaks its own rules: {faults}")


def _faults(session: Session) -> dict[str, int]:
    return {rule: len(rows) for rule, rows in books.list_faults(session).items() if rows}


def _doubt(connection: psycopg.Connection, schemas: list[str]) -> None:
    with connection.transaction():
        if "trade_executor" in schemas:
            for statement in _DOUBT:
                connection.execute(statement, {"reason": HALTED})
        for schema in schemas:
            # A bus that was lost with its queues gets the last hour again; every inbox knows what it has seen.
            if connection.execute("SELECT to_regclass(%s)", [f"{schema}.outbox"]).fetchone() != (None,):
                table = sql.Identifier(schema, "outbox")
                connection.execute(sql.SQL("UPDATE {} SET published_at = NULL").format(table))
        # The next start takes this for a new server: it sets passwords and brings every schema to its head.
        connection.execute("COMMENT ON SCHEMA bus IS NULL")
    connection.execute("ANALYZE")
