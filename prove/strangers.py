"""Campaign 8: other people's things, asked for in every way a route offers, by everybody who should not.

The matrix is made from the OpenAPI document, so a new route is in it without anyone's doing; one that takes an id of a
kind nobody told about makes the campaign fail by its name.
"""

import http.client
import time
from contextlib import closing

from prove.assignment import check_assignment, check_standing, owned_tables
from prove.campaign import Campaign, Outcome, Run
from prove.cast import NEIGHBOUR, STRANGER, Cast, cast
from prove.doorbugs import check_policies, check_stranger_bugs
from prove.house import BASE, House, Reply, house, rows_of
from prove.matrix import check_cursors, check_keys, check_matrix, check_owner
from prove.races import server
from prove.routes import unknown_ids
from prove.rows import UNPROTECTED, check_routes, check_tables

from api_gateway.streams.feed import event_id

LEAST_CHECKS = 10_000
LISTENS_S = 2.0
REST_S = 200.0
"""Seconds kept for what follows the matrix."""


def check_streams(cast: Cast) -> Outcome:
    """A stranger listens, with the place in the victim's feed for its own, while the victim acts."""
    outcome = Outcome()
    victim, stranger = cast.victim.person, cast.callers[STRANGER]
    with cast.house.look() as database:
        query = b"SELECT position FROM notification_service.feed WHERE user_id = %s ORDER BY position"
        places = [event_id(row[0]) for row in database.execute(query, [victim.id])]
    for place in ("", event_id(0), places[0], places[-1]):
        heard = _listened(cast.house, stranger.token, place, lambda: victim.do("POST", "/funds/deposit", {"amount": 1}))
        outcome.counts["streams listened to"] += 1
        outcome.counts["checks"] += 1
        marks = cast.victim.find_marks(heard)
        if heard.status != 200 or marks:
            outcome.violate(f"a stranger's stream from {place!r}: {heard.status}, {marks[:1]}")
    own = _listened(cast.house, victim.token, places[0], lambda: None)
    if not cast.victim.find_marks(own):
        outcome.violate("the victim's own stream holds nothing of the victim's, so silence proves nothing")
    return outcome


def _listened(house: House, token: str, place: str, act: object) -> Reply:
    connection = http.client.HTTPConnection("127.0.0.1", house.port, timeout=LISTENS_S)
    headers = {"Authorization": f"Bearer {token}"} | ({"Last-Event-ID": place} if place else {})
    text, ends_at = "", time.monotonic() + LISTENS_S
    with closing(connection):
        connection.request("GET", f"{BASE}/events", headers=headers)
        answer = connection.getresponse()
        if callable(act):
            act()
        while time.monotonic() < ends_at:
            try:
                text += answer.read1(65536).decode("utf-8", "replace")
            except TimeoutError:
                break
    return Reply(answer.status, {}, text)


def play(run: Run) -> Outcome:
    """Everything on one platform."""
    with server() as on, house(on) as made, cast(made, run.seed) as who:
        return play_in(made, who, run)


def play_in(made: House, who: Cast, run: Run) -> Outcome:
    """The matrix, then the rest; last that owners are let through, for that takes things away."""
    outcome = Outcome()
    outcome.violate(*unknown_ids(made.openapi()))
    with made.look() as database:
        tables = [each for each in owned_tables(database) if each[0] not in UNPROTECTED]
        before = rows_of(database, tables, who.victim.person.id)
        routes = who.routes[: run.size]
        outcome.add(check_matrix(who, lambda: run.left_s < REST_S, routes))
        outcome.add(check_cursors(who))
        outcome.add(check_keys(who))
        outcome.add(_untouched(before, rows_of(database, tables, who.victim.person.id)))
    outcome.add(check_tables(made, who.victim.person.id, who.callers[STRANGER].id))
    mine = [route for route in routes if not (route.is_public or route.is_admins or route.is_endless)]
    outcome.add(check_routes(who, mine, lambda: run.left_s < 60))
    writes = [route for route in routes if route.writes]
    outcome.add(check_assignment(who, [route for route in writes if not route.is_admins], lambda: run.left_s < 40))
    outcome.violate(*check_standing(made, who.callers[NEIGHBOUR]))
    outcome.add(check_assignment(who, [route for route in writes if route.is_admins], lambda: run.left_s < 30))
    outcome.add(check_streams(who))
    outcome.add(check_stranger_bugs(who))
    outcome.add(check_policies(who))
    outcome.add(check_owner(who))
    if run.size >= len(who.routes) and outcome.counts["checks"] < LEAST_CHECKS:
        outcome.missed.append(f"{outcome.counts['checks']:,} checks, not {LEAST_CHECKS:,}")
    return outcome


def _untouched(before: dict[str, list[str]], now: dict[str, list[str]]) -> Outcome:
    outcome = Outcome()
    for table, rows in before.items():
        outcome.counts["rows of the victim compared"] += len(rows)
        if now[table] != rows:
            changed = [row for row in now[table] if row not in rows] or ["one is gone"]
            outcome.violate(f"the victim's rows in {table} changed: {changed[0][:300]}")
    return outcome


CAMPAIGN = Campaign(
    number=8,
    target="every route of the OpenAPI document × every kind of thing × everybody who does not own it, 10,000 checks"
    " and more: no leak, no sign that the thing exists; every column of every table in every write: refused or without"
    " effect; the same with the application's check switched off: row-level security alone holds",
    size=120,
    bound_s=600,
    play=play,
)
