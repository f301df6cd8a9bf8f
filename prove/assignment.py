"""Mass assignment: every column of every table, put into the body of every write.

Where a body is read the answer is 422 and refuses each of the fields; where none is read they are without effect.
Either way nothing planted may be found in the caller's rows afterwards.
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
REFUSAL = "Extra inputs are not permitted"
AT_ONCE = 60
"""Columns in one body; an answer tells of up to a hundred mistakes."""

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


def bodies(route: Route, wishes: Mapping[str, Any]) -> Iterator[tuple[Any, int]]:
    """Bodies with what is wished for at their top, and in the first of every list of things; how many are not known."""
    if route.body is None:
        yield dict(wishes), 0
        return
    unknown = {name: value for name, value in wishes.items() if name not in route.fields}
    yield {**route.body, **unknown}, len(unknown)
    for name, known in route.inner.items():
        if route.body.get(name):
            unknown = {each: value for each, value in wishes.items() if each not in known}
            inner = copy.deepcopy(dict(route.body))
            inner[name][0].update(unknown)
            yield inner, len(unknown)


def check_assignment(cast: Cast, routes: list[Route], is_over: Callable[[], bool]) -> Outcome:
    """Every column in every write."""
    outcome = Outcome()
    with cast.house.look() as database:
        columns, tables = columns_of(database), owned_tables(database)
        outcome.figures["columns of tables"] = len(columns)
        for route in sorted(routes, key=lambda route: route.method == "DELETE"):
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
    which = 0 if route.method == "DELETE" else -1  # the newest is still to be asked for by its owner
    ids = {name: (cast.neighbour.ids[IDS[name]] or [victim])[which] for name in route.id_names}
    path = route.at(ids)
    names = list(columns)
    for start in range(0, len(names), AT_ONCE):
        wishes = {name: wish(name, columns[name], victim) for name in names[start : start + AT_ONCE]}
        for body, unknown in bodies(route, wishes):
            reply = cast.ask(caller, route, path, body)
            outcome.counts["columns offered in a body"] += unknown or len(wishes)
            outcome.counts["bodies with columns in them"] += 1
            wrong = _judge(route, unknown, reply)
            if wrong is not None:
                outcome.violate(f"{route.name} with {names[start]!r} and what follows in its body: {wrong}")
    return outcome


def _judge(route: Route, unknown: int, reply: Reply) -> str | None:
    """Every one of the fields must be refused, not only one of them."""
    if reply.status >= 500:
        return str(reply.status)
    if PLANTED_TEXT in reply.text:
        return f"it is repeated: {reply.text[:200]}"
    if route.body is None:
        return None
    if reply.status != 422:
        return f"{reply.status}, not 422"
    refused = sum(error["message"] == REFUSAL for error in (reply.body or {}).get("errors", ()))
    return None if refused == unknown else f"{refused} fields of {unknown} are refused: {reply.text[:200]}"


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
