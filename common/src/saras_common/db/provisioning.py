"""Roles, schemas and row policies: who may see what."""

from collections.abc import Iterable, Mapping

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

from saras_common.db.migrating import migrate
from saras_common.db.sessions import translated

BUS_PACKAGE = "saras_common.bus"
_LOCK_KEY = 0x5A5A0001
_ATTRIBUTES = sql.SQL("LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS")


def schema_of(package: str) -> str:
    """The schema (and role) of a package: its last name, ``saras_common.bus`` → ``bus``."""
    return package.rpartition(".")[2]


def provision(admin_url: str, passwords: Mapping[str, str]) -> dict[str, str]:
    """One login and one schema for each role named in ``passwords``; role → URL. Running it again changes passwords.

    The role ``bus`` gets its tables too, because no service owns them.
    """
    with translated(), psycopg.connect(admin_url) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK_KEY])
        _close_doors(connection)
        for role, password in passwords.items():
            _provision_role(connection, role, password)
    if schema_of(BUS_PACKAGE) in passwords:
        migrate(admin_url, BUS_PACKAGE)
    admin = make_url(admin_url)
    urls = {role: admin.set(username=role, password=password) for role, password in passwords.items()}
    return {  # libpq wants %20 where SQLAlchemy leaves a space
        role: url.render_as_string(hide_password=False).replace(" ", "%20") for role, url in urls.items()
    }


def user_policy(table: str, column: str = "user_id") -> list[str]:
    """SQL for a migration: rows of ``table`` belong to the user in ``column``, even against the table's owner.

    ``table`` is a name from our own migrations, schema included. The settings are read once a statement, not once a
    row, thanks to the sub-selects.
    """
    owned = f"{column} = ANY ((SELECT NULLIF(current_setting('app.user_ids', true), '')::uuid[])::uuid[])"
    return [
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
        f"CREATE POLICY own_rows ON {table} USING ((SELECT current_setting('app.scope', true)) = 'service' OR {owned})",
    ]


def _close_doors(connection: psycopg.Connection) -> None:
    """Nobody gets in or makes tables by default."""
    database = sql.Identifier(connection.info.dbname)
    for statement in _formatted(
        ["REVOKE ALL ON DATABASE {name} FROM PUBLIC", "REVOKE ALL ON SCHEMA public FROM PUBLIC"], name=database
    ):
        connection.execute(statement)


def _provision_role(connection: psycopg.Connection, role: str, password: str) -> None:
    name = sql.Identifier(role)
    verifier = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone() is None:
        connection.execute(sql.SQL("CREATE ROLE {} {}").format(name, _ATTRIBUTES))
    # the verifier, not the password, so that no server log can hold it
    connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(name, sql.Literal(verifier)))
    for statement in _formatted(
        [
            "CREATE SCHEMA IF NOT EXISTS {name}",
            "REVOKE ALL ON SCHEMA {name} FROM PUBLIC",
            "GRANT USAGE ON SCHEMA {name} TO {name}",
            "GRANT CONNECT, TEMPORARY ON DATABASE {database} TO {name}",
        ],
        name=name,
        database=sql.Identifier(connection.info.dbname),
    ):
        connection.execute(statement)


def _formatted(statements: Iterable[str], **names: sql.Identifier) -> list[sql.Composed]:
    return [sql.SQL(statement).format(**names) for statement in statements]
