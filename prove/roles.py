"""What each database login may do to each table, found by trying, against the matrix that is agreed (`roles.json`).

`python -m prove.roles` writes the matrix anew; its difference is to be read like code.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
from prove.campaign import Outcome

from saras.fleet import PACKAGES
from saras_common.testing import MigratedDatabase, PostgresForTests

MATRIX = Path(__file__).parent / "roles.json"
DENIED = psycopg.errors.InsufficientPrivilege

Rights = dict[str, dict[str, list[str]]]
"""Login, table, what it may do: a verb, or a verb and a column."""


def tables_of(database: MigratedDatabase) -> dict[str, list[str]]:
    """Every table of every schema of ours, with its columns."""
    query = """
    SELECT table_schema || '.' || table_name, array_agg(column_name::text ORDER BY ordinal_position)
    FROM information_schema.columns WHERE table_schema = ANY(%s) GROUP BY 1 ORDER BY 1
    """
    with psycopg.connect(database.admin_url) as admin:
        return dict(admin.execute(query, [list(database.urls)]).fetchall())


def attempts(table: str, columns: list[str]) -> Iterator[tuple[str, str]]:
    """Verb and statement; none of them reads another column or leaves a row."""
    yield "SELECT", f"SELECT 1 FROM {table} LIMIT 0"
    for column in columns:
        yield f"INSERT {column}", f'INSERT INTO {table} ("{column}") VALUES (DEFAULT)'
        yield f"UPDATE {column}", f'UPDATE {table} SET "{column}" = DEFAULT WHERE false'
    yield "DELETE", f"DELETE FROM {table} WHERE false"
    yield "TRUNCATE", f"TRUNCATE {table}"
    yield "DROP", f"DROP TABLE {table}"


def may(connection: psycopg.Connection, statement: str) -> bool:
    """Whether the statement gets past the privileges, whatever else stops it; nothing of it stays."""
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(statement.encode())
    except DENIED:
        return False
    except psycopg.Error:
        return True
    return True


def read_rights(database: MigratedDatabase) -> tuple[Rights, int]:
    """What each login may do, by trying; and the number of attempts."""
    tables, rights, tried = tables_of(database), Rights(), 0
    for role, url in sorted(database.urls.items()):
        rights[role] = {}
        with psycopg.connect(url, autocommit=True) as connection:
            for table, every in tables.items():
                columns = every if table.startswith(f"{role}.") else every[:1]  # nothing of others, column by column
                results = [(verb, may(connection, statement)) for verb, statement in attempts(table, columns)]
                tried += len(results)
                allowed = _folded([verb for verb, is_allowed in results if is_allowed], columns)
                if allowed:
                    rights[role][table] = allowed
    return rights, tried


def _folded(allowed: list[str], columns: list[str]) -> list[str]:
    """``INSERT`` for all columns rather than one entry each."""
    folded = [verb for verb in allowed if " " not in verb]
    for verb in ("INSERT", "UPDATE"):
        mine = [each.partition(" ")[2] for each in allowed if each.startswith(f"{verb} ")]
        if len(mine) == len(columns):
            folded.append(verb)
        elif mine:
            folded += [f"{verb} {column}" for column in mine]
    return sorted(folded)


def compare(found: Rights, agreed: Rights) -> list[str]:
    """Every right that is not agreed, and every agreed one that is missing."""
    wrong = []
    for role in sorted(found.keys() | agreed.keys()):
        mine, theirs = found.get(role, {}), agreed.get(role, {})
        for table in sorted(mine.keys() | theirs.keys()):
            has, should = set(mine.get(table, [])), set(theirs.get(table, []))
            wrong += [f"{role} may {verb} on {table}" for verb in sorted(has - should)]
            wrong += [f"{role} may not {verb} on {table}" for verb in sorted(should - has)]
    return wrong


def check_roles(server: PostgresForTests) -> Outcome:
    """Try everything on a fresh database of every service."""
    database = server.database_for(*PACKAGES)
    found, tried = read_rights(database)
    outcome = Outcome()
    outcome.counts["rights of database logins tried"] = tried
    outcome.violate(*compare(found, json.loads(MATRIX.read_text())))
    server.drop(database)
    return outcome


def main() -> int:
    """Write the matrix as it is found."""
    server = PostgresForTests()
    try:
        found, tried = read_rights(server.database_for(*PACKAGES))
    finally:
        server.stop()
    MATRIX.write_text(json.dumps(found, indent=1) + "\n")
    print(f"{tried} rights tried, written to {MATRIX}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
