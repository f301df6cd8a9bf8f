"""Mass assignment: every column of every table, put into the body of every write.

Where a body is read the answer is 422 and names the field; where none is read the field is without effect. Either way
nothing planted may be found in the caller's rows afterwards.
"""

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import psycopg
from prove.campaign import Outcome
from prove.cast import NEIGHBOUR, Cast
from prove.house import House, Person, Reply
from prove.routes import IDS, Route

PLANTED_TEXT, PLANTED_NUMBER = "zz-planted-zz", 987654321987
SCHEMAS = (
    *("user_service", "portfolio_service", "trade_executor"),
    *("smallcase_service", "notification_service", "analytics_service"),
)
WISHES: Mapping[str, Any] = {
    "roles": ["admin", "user"],
    "status": "FILLED",
    "kyc_status": "approved",
    "filled_quantity": 1,
    "visibility": "public",
    "version": 10**6,
}
"""What a cheat would ask for; of other columns a value by type that can be found again."""

_TEXTS = frozenset({"text", "jsonb", "bytea", "ARRAY"})


def columns_of(database: psycopg.Connection[Any]) -> dict[str, str]:
    """Every column there is, by name, with its type."""
    query = """
    SELECT column_name::text, data_type FROM information_schema.columns
    WHERE table_schema = ANY(%s) AND table_name <> 'alembic_version' ORDER BY 1
    """
    return dict(database.execute(query, [list(SCHEMAS)]).fetchall())


def owned_tables(database: psycopg.Connection[Any]) -> list[tuple[str, str]]:
    """Tables with rows of users, and the column that says whose."""
    query = """
    SELECT table_schema || '.' || table_name, column_name::text FROM information_schema.columns
    WHERE table_schema = ANY(%s) AND column_name IN ('user_id', 'owner_id') ORDER BY 1
    """
    found = [(str(table), str(column)) for table, column in database.execute(query, [list(SCHEMAS)])]
    return [("user_service.users", "id"), *found]


def wish(column: str, kind: str, victim: str) -> Any:
    """What is asked for in that column's place."""
    if column in WISHES:
        return WISHES[column]
    if kind == "uuid":
        return victim
    if kind == "boolean":
        return True
    if kind in _TEXTS:
        return PLANTED_TEXT
    return "2099-12-31T00:00:00Z" if "time" in kind or kind == "date" else PLANTED_NUMBER


def bodies(route: Route, column: str, value: Any) -> Iterator[Any]:
    """The body with the column at its top, and in the first of every list of things in it."""
    if route.body is None:
        yield {column: value}
        return
    if column not in route.fields:
        yield {**route.body, column: value}
    for name, parts in route.body.items():
        if isinstance(parts, list) and parts and isinstance(parts[0], dict) and column not in parts[0]:
            inner = copy.deepcopy(dict(route.body))
            inner[name][0][column] = value
            yield inner


DECLARED_INSIDE = frozenset({"weight", "floor", "cap", "price", "trigger_price", "product", "validity", "portfolio_id"})
"""Columns that are fields of an order in a batch or of a basket's part."""


def check_assignment(cast: Cast, routes: list[Route], is_over: Callable[[], bool]) -> Outcome:
    """Every column in every write."""
    outcome = Outcome()
    with cast.house.look() as database:
        columns, tables = columns_of(database), owned_tables(database)
        outcome.counts["columns of tables"] = len(columns)
        for route in routes:
            if is_over():
                outcome.missed.append(f"columns in {route.name} and what follows did not fit into the time")
                break
            outcome.add(_check_route(cast, route, columns))
            person = _writer(cast, route)
            outcome.violate(*(f"{route.name}: {what}" for what in planted(database, tables, person)))
            outcome.counts["writes offered every column"] += 1
    return outcome


def _writer(cast: Cast, route: Route) -> Person:
    return cast.admin if route.is_admins else cast.callers[NEIGHBOUR]


def _check_route(cast: Cast, route: Route, columns: Mapping[str, str]) -> Outcome:
    outcome = Outcome()
    caller = "admin" if route.is_admins else NEIGHBOUR
    cast.fresh(caller)
    victim = cast.victim.person.id
    ids = {name: (cast.neighbour.ids[IDS[name]] or [victim])[-1] for name in route.id_names}
    path = route.at(ids)
    for column, kind in columns.items():
        for body in bodies(route, column, wish(column, kind, victim)):
            reply = cast.ask(caller, route, path, body)
            outcome.counts["columns offered in a body"] += 1
            wrong = _judge(route, column, reply)
            if wrong is not None:
                outcome.violate(f"{route.name} with {column!r} in its body: {wrong}")
    return outcome


def _judge(route: Route, column: str, reply: Reply) -> str | None:
    if reply.status >= 500:
        return str(reply.status)
    if route.body is None:
        return f"it is repeated: {reply.text[:200]}" if PLANTED_TEXT in reply.text else None
    if reply.status != 422:
        return None if column in DECLARED_INSIDE and reply.status < 500 else f"{reply.status}, not 422"
    named = [str(error.get("field", "")) for error in (reply.body or {}).get("errors", ())]
    if any(column in field for field in named) or column in DECLARED_INSIDE:
        return None
    return f"refused for something else, which proves nothing: {named}"


def planted(database: psycopg.Connection[Any], tables: list[tuple[str, str]], person: Person) -> Iterator[str]:
    """What was asked for and stands in the person's rows now."""
    for table, column in tables:
        query = f"SELECT count(*) FROM {table} t WHERE {column} = %s AND to_jsonb(t)::text ~ %s"
        row = database.execute(query.encode(), [person.id, f"{PLANTED_TEXT}|{PLANTED_NUMBER}|2099-12-31"]).fetchone()
        if row is not None and row[0]:
            yield f"{row[0]} rows of {table} hold what was planted"


def check_standing(house: House, person: Person) -> list[str]:
    """That a caller is still nobody special."""
    with house.look() as database:
        query = b"SELECT roles, kyc_status FROM user_service.users WHERE id = %s"
        row = database.execute(query, [person.id]).fetchone()
    return [] if row is not None and row[0] == ["user"] and row[1] != "approved" else [f"the caller became {row}"]
