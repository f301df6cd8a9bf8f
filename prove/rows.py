"""Row-level security alone: the same requests with the application's own check switched off.

While a stranger is served, every parameter that is the stranger's id is replaced by the victim's on its way to the
database: each "… and it is mine" of our code then says yes to what is the victim's. What PostgreSQL itself was told,
whose rows this transaction may see, stays the stranger's. Nothing of the victim's may come out or change.

Beside it, every table with rows of users is asked directly, by its service's login, without any condition at all.
"""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg
from prove.assignment import owned_tables
from prove.campaign import Outcome
from prove.cast import STRANGER, Cast
from prove.house import Headers, House, Reply, rows_of
from prove.matrix import request
from prove.routes import IDS, Route
from prove.wiretap import tapped

from saras_common.logs import request_id_var

REQUEST = "switched-off-"
"""Begins the id of every request that is served with the check switched off."""

UNPROTECTED = {
    "user_service.audit": "written and never read for anybody",
    "user_service.revocations": "read by the gateway alone, about everybody",
    "trade_executor.demands": "the executor works for all users at once and serves administrators alone",
    "trade_executor.credits": "the same",
    "trade_executor.idempotency_keys": "keys of administrators",
}
"""Tables with a user's column and no policy, and why."""

SCOPE = "set_config('app.scope'"


class Switch:
    """Replaces the stranger's id by the victim's, in statements and for nobody else."""

    def __init__(self, stranger: str, victim: str) -> None:
        self._stranger, self._victim = stranger, victim
        self._scopes: dict[int, bool] = {}
        self.replaced = 0

    def listen(self, connection: Any, query: str, params: Any) -> Any:
        """For `tapped`."""
        if SCOPE in query:
            self._scopes[id(connection)] = self._stranger in str(params)
            return params
        is_served = (request_id_var.get() or "").startswith(REQUEST)
        if params is None or not (is_served or self._scopes.get(id(connection), False)):
            return params
        return self._changed(params)

    def _changed(self, value: Any) -> Any:
        if isinstance(value, UUID) and str(value) == self._stranger:
            self.replaced += 1
            return UUID(self._victim)
        if isinstance(value, str) and self._stranger in value:
            self.replaced += 1
            return value.replace(self._stranger, self._victim)
        if isinstance(value, dict):
            return {name: self._changed(part) for name, part in value.items()}
        if type(value) in {list, tuple}:
            return type(value)(self._changed(part) for part in value)
        return value


@contextmanager
def switched_off(cast: Cast) -> Iterator[Switch]:
    """The application's check is off for the stranger."""
    switch = Switch(cast.callers[STRANGER].id, cast.victim.person.id)
    with tapped(switch.listen):
        yield switch


def check_routes(cast: Cast, routes: list[Route], is_over: Callable[[], bool]) -> Outcome:
    """The stranger asks for the victim's things everywhere, its own id being the victim's to our queries."""
    outcome = Outcome()
    with cast.house.look() as database, switched_off(cast) as switch:
        tables = owned_tables(database)
        before = rows_of(database, tables, cast.victim.person.id)
        for route in routes:
            if is_over():
                outcome.missed.append(f"{route.name} with the check off and what follows did not fit into the time")
                break
            cast.fresh(STRANGER)
            for kind in sorted({IDS[name] for name in route.id_names} or {"user"}):
                for each in cast.victim.ids.get(kind, [])[-3:]:
                    ids = {name: (cast.victim.ids[IDS[name]] or [each])[-1] for name in route.id_names}
                    ids |= {name: each for name in route.id_names if IDS[name] == kind}
                    reply = _ask(cast, route, ids)
                    outcome.counts["requests with the application's check off"] += 1
                    outcome.violate(*_leaks(cast, route, reply))
            now = rows_of(database, tables, cast.victim.person.id)
            outcome.violate(*_changes(route, before, now))
            before = now
        outcome.counts["ids replaced on their way to the database"] = switch.replaced
    if not switch.replaced:
        outcome.violate("the check was never off: no id was replaced")
    return outcome


def _ask(cast: Cast, route: Route, ids: dict[str, str]) -> Reply:
    headers: Headers = [("X-Request-ID", REQUEST + secrets.token_hex(8))]
    path, body = request(route, "", ids)
    return cast.ask(STRANGER, route, path, body, headers)


def _leaks(cast: Cast, route: Route, reply: Reply) -> list[str]:
    """The victim's own id is ours to say here: our code was made to believe it."""
    marks = cast.victim.find_marks(reply, but=frozenset({cast.victim.person.id}))
    return [f"{route.name} with the check off holds the victim's {marks[0]!r}"] if marks else []


def _changes(route: Route, before: dict[str, list[str]], now: dict[str, list[str]]) -> list[str]:
    changed = [table for table in now if table not in UNPROTECTED and now[table] != before[table]]
    return [f"{route.name} with the check off changed the victim's rows in {table}" for table in changed]


# --- without any condition


def check_tables(house: House, victim: str, stranger: str, *, only: str | None = None) -> Outcome:
    """Every table with rows of users: nothing of the victim's to be seen, changed or added in the stranger's name."""
    outcome = Outcome()
    with house.look() as database:
        tables = [each for each in owned_tables(database) if each[0] not in UNPROTECTED and only in {None, each[0]}]
        for table, column in tables:
            role = table.partition(".")[0]
            outcome.counts["tables under row-level security"] += 1
            outcome.violate(*_forced(database, table))
            count = database.execute(f"SELECT count(*) FROM {table} WHERE {column} = %s".encode(), [victim]).fetchone()
            outcome.counts["tables with rows of the victim"] += bool(count and count[0])
            with psycopg.connect(house.database.urls[role], autocommit=True) as connection:
                for name, attempt in attempts(table, column, victim, _changeable(database, role, table)).items():
                    outcome.counts["statements without a condition"] += 1
                    outcome.violate(*_tried(connection, stranger, f"{name} {table}", attempt, victim))
    return outcome


def _forced(database: psycopg.Connection[Any], table: str) -> list[str]:
    query = b"SELECT relrowsecurity AND relforcerowsecurity FROM pg_class WHERE oid = %s::regclass"
    row = database.execute(query, [table]).fetchone()
    return [] if row is not None and row[0] else [f"{table} has a user's rows and no forced row-level security"]


_COUNT = "SELECT count(*) FROM hit"


def _changeable(database: psycopg.Connection[Any], role: str, table: str) -> list[str]:
    """Columns the service's login may update."""
    query = """
    SELECT attname::text FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped
    AND has_column_privilege(%s, attrelid, attnum, 'UPDATE') ORDER BY attnum LIMIT 1
    """
    return [str(row[0]) for row in database.execute(query, [table, role])]


def attempts(table: str, column: str, victim: str, changeable: list[str]) -> dict[str, str]:
    """What a query that forgot its condition would do; each gives the number of the victim's rows it reached."""
    mine = f"{column} = '{victim}'"
    update = {
        f"UPDATE {name} of": f'WITH hit AS (UPDATE {table} SET "{name}" = "{name}" WHERE {mine} RETURNING 1) {_COUNT}'
        for name in changeable
    }
    return {
        **update,
        "SELECT": f"SELECT count(*) FROM {table} WHERE {mine}",
        "DELETE": f"WITH hit AS (DELETE FROM {table} WHERE {mine} RETURNING 1) {_COUNT}",
        "INSERT": f"INSERT INTO {table} ({column}) VALUES ('{victim}') RETURNING 1",
    }


def _tried(connection: psycopg.Connection[Any], stranger: str, what: str, statement: str, victim: str) -> list[str]:
    """Nothing of the attempt stays. No right is as good as no row; a constraint is not: it comes after the policy."""
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(
                "SELECT set_config('app.scope', 'users', true), set_config('app.user_ids', %s, true)",
                ["{" + stranger + "}"],
            )
            row = connection.execute(statement.encode()).fetchone()
    except psycopg.errors.InsufficientPrivilege:
        return []
    except psycopg.Error as error:
        return [f"{what}: a row of {victim} got as far as {type(error).__name__}"]
    return [] if row is not None and row[0] == 0 else [f"{what} reached rows of {victim}"]
