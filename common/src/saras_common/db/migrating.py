"""Alembic without ini files: each package carries ``migrations/`` and brings one schema to its head.

Who does not migrate does not load alembic: every process of every service would start a tenth slower.
"""

import importlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import psycopg
from sqlalchemy import Connection, MetaData, NullPool, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from saras_common.db.sessions import translated

if TYPE_CHECKING:
    from alembic.config import Config

VERSION_TABLE = "alembic_version"
LOCK_TIMEOUT_S = 2
PAUSE_S = 1.0
PATIENCE_S = 60.0
POLL_S = 0.1
_LOCK_SPACE = 0x5A5A0002


def migrate(url: str, package: str) -> None:
    """Bring the package's schema to the head of ``<package>.migrations``; a migration is a transaction.

    Processes that start together wait for one another. A table lock is waited for `LOCK_TIMEOUT_S` at most, for others
    queue behind whoever waits; then everybody gets past and it is tried again, `PATIENCE_S` long.
    """
    from alembic import command

    deadline = time.monotonic() + PATIENCE_S
    with _connection(url) as connection:
        while True:
            try:
                command.upgrade(_config(package, connection), "head")
            except OperationalError as error:
                if not isinstance(error.orig, psycopg.errors.LockNotAvailable) or time.monotonic() > deadline:
                    raise
                connection.rollback()
                time.sleep(PAUSE_S)
            else:
                return


def new_revision(url: str, package: str, message: str) -> None:
    """Write the next migration from the difference between the models and a migrated database."""
    from alembic import command

    with _connection(url) as connection:
        command.revision(_config(package, connection), message, autogenerate=True)


def run_migrations(metadata: MetaData) -> None:
    """The whole of a package's ``migrations/env.py``; ``metadata.schema`` is the schema it owns."""
    from alembic import context

    connection: Connection = context.config.attributes["connection"]
    schema = metadata.schema
    if schema is None:
        raise ValueError("the models' metadata names no schema")
    connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT_S}s'"))
    connection.commit()
    context.configure(
        connection=connection,
        target_metadata=metadata,
        include_schemas=True,
        include_name=_only(schema),
        version_table=VERSION_TABLE,
        version_table_schema=schema,
        transaction_per_migration=True,
        compare_type=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def find_drift(url: str, metadata: MetaData) -> list[Any]:
    """What differs between the migrated database and the models, as alembic's operations; empty when nothing does."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    schema = metadata.schema or ""
    with _connection(url) as connection:
        options = {"include_schemas": True, "include_name": _only(schema), "compare_type": True}
        drift = list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))
        return drift + _check_drift(connection, schema, metadata)


def _check_drift(connection: Connection, schema: str, metadata: MetaData) -> list[Any]:
    """CHECK constraints by name, which alembic does not compare."""
    query = text(
        "SELECT r.relname, c.conname FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid"
        " WHERE c.contype = 'c' AND c.connamespace = to_regnamespace(:schema)"
    )
    found = {(row[0], row[1]) for row in connection.execute(query, {"schema": schema})}
    wanted = {
        (table.name, str(check.name))
        for table in metadata.tables.values()
        for check in table.constraints
        if check.__visit_name__ in {"check_constraint", "table_or_column_check_constraint"}
    }
    return [("check_constraint", *pair) for pair in sorted(found ^ wanted)]


def _config(package: str, connection: Connection) -> "Config":
    config = scripts_of(package)
    config.attributes["connection"] = connection
    return config


def scripts_of(package: str) -> "Config":
    """Alembic's configuration of where a package's migrations are."""
    from alembic.config import Config

    module = importlib.import_module(package)
    if module.__file__ is None:
        raise ValueError(f"{package} has no folder")
    config = Config()
    config.set_main_option("script_location", str(Path(module.__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _only(schema: str) -> Any:
    def include(
        name: str | None,
        kind: Literal["schema", "table", "column", "index", "unique_constraint", "foreign_key_constraint"],
        parents: Any,
    ) -> bool:
        if kind == "schema":
            return name == schema
        if kind == "table":
            return parents["schema_name"] == schema and name != VERSION_TABLE
        return True

    return include


@contextmanager
def _connection(url: str) -> Iterator[Connection]:
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), poolclass=NullPool)
    try:
        with translated(), engine.connect() as connection:
            key = {"space": _LOCK_SPACE}
            # asked again and again, not waited for: who waits in a statement holds up an index made beside the traffic
            while not connection.execute(text("SELECT pg_try_advisory_lock(:space)"), key).scalar_one():
                connection.commit()
                time.sleep(POLL_S)
            connection.commit()
            yield connection
            connection.rollback()
            connection.execute(text("SELECT pg_advisory_unlock(:space)"), key)
            connection.commit()
    finally:
        engine.dispose()
