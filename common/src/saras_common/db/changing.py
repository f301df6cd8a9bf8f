"""What a migration does to a table that is in use, in steps that stop nobody.

Each of these is a migration of its own: it commits as it goes, and is played again from its beginning when it was
interrupted.
"""

from typing import Any

from sqlalchemy import text

BATCH_ROWS = 1000
_WITHOUT_HURRY = "SET lock_timeout = 0"


def create_index(op: Any, schema: str, name: str, on: str, *, is_unique: bool = False) -> None:
    """An index on ``on``, such as ``orders (user_id, id)``, while rows come and go.

    It waits for transactions that began before it, and blocks nobody meanwhile. What an interrupted try left behind is
    dropped first.
    """
    kind = "UNIQUE INDEX" if is_unique else "INDEX"
    context = op.get_context()
    with context.autocommit_block():
        op.execute(_WITHOUT_HURRY)
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {schema}.{name}")
        op.execute(f"CREATE {kind} CONCURRENTLY {name} ON {schema}.{on}")
        op.execute("RESET lock_timeout")


def backfill(op: Any, statement: str, *, rows: int = BATCH_ROWS) -> None:
    """Play ``statement`` until it changes nothing, each time as a transaction of its own.

    It changes at most ``:rows`` rows of those that still lack something, so that no row is locked for long:
    ``UPDATE t SET new = old WHERE id IN (SELECT id FROM t WHERE new IS NULL LIMIT :rows FOR UPDATE SKIP LOCKED)``.
    Rows somebody holds at that moment are left for the next time; it ends when none is left.
    """
    context = op.get_context()
    if context.as_sql:
        op.execute(f"-- until nothing changes: {statement}")
        return
    with context.autocommit_block():
        connection = context.connection
        connection.execute(text("SELECT set_config('app.scope', 'service', false)"))  # rows of every user
        while connection.execute(text(statement), {"rows": rows}).rowcount:
            pass
        connection.execute(text("RESET app.scope"))
