"""That campaigns 7 and 8 are not blind: bugs planted at the doors and policies taken away, each to be found.

The token check, sessions and ownership have catalogues in `prove.bugs.doors`; row-level security is opened table by
table. A probe is the part of the campaign that should see it, at its smallest.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import psycopg
from prove import sessions
from prove.assignment import check_assignment, owned_tables
from prove.bugs.catalogue import Bug
from prove.bugs.doors import FINDS, session_bug, stranger_bug, token_bug
from prove.campaign import Outcome
from prove.cast import STRANGER, Cast
from prove.doors import check_doors, check_inside
from prove.hostile import Knock
from prove.house import House, Person
from prove.matrix import check_keys, check_matrix
from prove.routes import Route, unknown_ids
from prove.rows import UNPROTECTED, check_routes, check_tables

Probe = Callable[[], Outcome]

DOOR = "GET /funds"
"""Where weakened token checks are tried: one door is as good as another."""


def _never() -> bool:
    return False


def hunt(bugs: Sequence[Bug], probes: Mapping[str, Probe]) -> Outcome:
    """Each bug is put in and its probe must find something."""
    outcome = Outcome()
    for bug in bugs:
        outcome.counts["bugs planted"] += 1
        with bug.planted():
            found = probes[bug.name]().violations > 0
        outcome.counts["bugs found"] += found
        if not found:
            outcome.violate(f"not found: {bug.name} ({bug.where})")
    return outcome


def token_probes(house: House, routes: Sequence[Route], tried: Sequence[Knock], good: Person) -> dict[str, Probe]:
    """For every bug of the token check, the knocks that should find it."""
    door = [route for route in routes if route.name == DOOR]

    def probe(beginnings: tuple[str, ...]) -> Probe:
        chosen = [knock for knock in tried if knock.name.startswith(beginnings)]
        return lambda: check_doors(house.line(), door, chosen, _never)

    probes = {name: probe(beginnings) for name, beginnings in FINDS.items()}
    return {**probes, "a service believes tokens made for another": lambda: check_inside(house, good, most=1)}


def check_token_bugs(house: House, routes: Sequence[Route], tried: Sequence[Knock], good: Person) -> Outcome:
    """All of them."""
    return hunt(token_bug.bugs, token_probes(house, routes, tried, good))


def check_session_bugs(house: House) -> Outcome:
    """Wrong turns of refreshing, of codes and of the work a sign-in makes."""

    def refreshes() -> Outcome:
        with patch.object(sessions, "AT_ONCE", 8):
            return sessions.check_refreshes(house, 1)

    probes: dict[str, Probe] = dict.fromkeys((bug.name for bug in session_bug.bugs), refreshes)
    probes["a code may be used again"] = lambda: sessions.check_codes(house, 1)
    probes["who is not there costs no hash"] = lambda: sessions.check_timing(house, 3)
    return hunt(session_bug.bugs, probes)


def stranger_probes(cast: Cast) -> dict[str, Probe]:
    """For every bug of ownership, the routes that should show it."""
    by_name = {route.name: route for route in cast.routes}

    def matrix(*names: str) -> Probe:
        return lambda: check_matrix(cast, _never, [by_name[name] for name in names])

    return {
        "an order is found by its id alone": matrix("GET /orders/{order_id}"),
        "an order of others is forbidden, not absent": matrix("GET /orders/{order_id}"),
        "a list is everybody's": matrix("GET /funds/movements"),
        "an idempotency key is the platform's, not a user's": lambda: check_keys(cast, ["POST /funds/deposit"]),
        "fields nobody asked for are passed over": lambda: check_assignment(
            cast, [by_name["POST /funds/withdraw"]], _never
        ),
    }


def check_stranger_bugs(cast: Cast) -> Outcome:
    """All of them, and a route with an id of a kind nobody knows."""
    outcome = hunt(stranger_bug.bugs, stranger_probes(cast))
    outcome.add(check_unknown(cast.house.openapi()))
    return outcome


def check_unknown(document: dict[str, Any]) -> Outcome:
    """A new route with a new kind of id is named."""
    outcome = Outcome()
    for path, operation in (
        ("/api/v1/parcels/{parcel_id}", {}),
        ("/api/v1/orders/latest", {"parameters": [{"in": "query", "name": "parcel_id"}]}),
    ):
        outcome.counts["bugs planted"] += 1
        named = unknown_ids({**document, "paths": {**document["paths"], path: {"get": operation}}})
        found = any(re.search(f"GET {re.escape(path)}.*parcel_id", line) for line in named)
        outcome.counts["bugs found"] += found
        if not found:
            outcome.violate(f"not found: {path} takes an id of an unknown kind")
    return outcome


@contextmanager
def without_policy(database: psycopg.Connection[Any], table: str) -> Iterator[None]:
    """Row-level security of a table lets everything pass."""
    database.execute(f"CREATE POLICY planted ON {table} USING (true)".encode())
    try:
        yield
    finally:
        database.execute(f"DROP POLICY planted ON {table}".encode())


def check_policies(cast: Cast) -> Outcome:
    """Each table's policy opened in turn: asked without a condition, and where a route shows it, over HTTP."""
    outcome = Outcome()
    victim, stranger = cast.victim.person.id, cast.callers[STRANGER].id
    with cast.house.look() as database:
        for table, column in owned_tables(database):
            query = f"SELECT count(*) FROM {table} WHERE {column} = %s"
            row = database.execute(query.encode(), [victim]).fetchone()
            if table in UNPROTECTED or row is None or not row[0]:
                continue
            outcome.counts["policies opened"] += 1
            with without_policy(database, table):
                found = check_tables(cast.house, victim, stranger, only=table).violations > 0
            outcome.counts["open policies found"] += found
            if not found:
                outcome.violate(f"not found: the policy of {table} lets everything pass")
        outcome.add(_over_http(cast, database))
    return outcome


SHOWN_BY = {
    "portfolio_service.orders": "GET /orders/{order_id}",
    "portfolio_service.movements": "GET /funds/movements",
    "notification_service.webhooks": "GET /webhooks",
    "smallcase_service.sips": "GET /sips",
    "user_service.sessions": "GET /me/sessions",
    "analytics_service.reports": "GET /reports",
}
"""A route of every service that shows an open policy when the application's check is off."""


def _over_http(cast: Cast, database: psycopg.Connection[Any]) -> Outcome:
    outcome = Outcome()
    by_name = {route.name: route for route in cast.routes}
    for table, name in SHOWN_BY.items():
        outcome.counts["policies opened"] += 1
        with without_policy(database, table):
            found = check_routes(cast, [by_name[name]], _never).violations > 0
        outcome.counts["open policies found"] += found
        if not found:
            outcome.violate(f"not found by {name}: the policy of {table} lets everything pass")
    return outcome
