"""Slices of the campaigns on tokens and sessions and on other people's things, and that neither is blind."""

import json
from pathlib import Path

import pytest
from prove import assignment, doorbugs, doors, hostile, matrix, rows, sessions
from prove.cast import STRANGER, cast
from prove.house import house
from prove.routes import read_routes, unknown_ids

DOCUMENT = Path(__file__).parents[2] / "docs" / "openapi" / "platform.json"
SOME = {"GET /orders/{order_id}", "DELETE /orders/{order_id}", "POST /buy"}
WRITES = {"POST /orders/batch", "PUT /me/kyc"}
OPENED = ("portfolio_service.orders", "notification_service.webhooks")


def never() -> bool:
    return False


@pytest.fixture(scope="module")
def made(postgres):
    with house(postgres) as running:
        yield running


@pytest.fixture(scope="module")
def good(made):
    return made.admin()


@pytest.fixture(scope="module")
def tried(made, good):
    return [*hostile.knocks(made, good), *hostile.ended(made, good)]


@pytest.fixture(scope="module")
def protected(made):
    return doors.protected(read_routes(made.openapi()))


@pytest.fixture(scope="module")
def who(made):
    with cast(made, 5, with_neighbour=False) as everybody:
        yield everybody


def test_hostile_tokens_open_no_door(made, protected, tried, good):
    assert len(tried) >= 120
    outcome = doors.check_doors(made.line(), protected[::60], tried, never)
    outcome.add(doors.check_doors(made.line(), protected, tried[-2:], never))
    assert outcome.examples == []
    assert outcome.counts["attempts"] == len(protected[::60]) * len(tried) + 2 * len(protected)
    assert doors.check_good(protected[::10], good).examples == []


def test_no_service_believes_a_token_that_is_not_for_it(made, good):
    outcome = doors.check_inside(made, good, most=1)
    assert outcome.examples == []
    assert outcome.counts["hostile internal tokens"] > 40


def test_every_bug_of_the_token_check_is_found(made, protected, tried, good):
    outcome = doorbugs.check_token_bugs(made, protected, tried, good)
    assert outcome.examples == []
    assert outcome.counts["bugs found"] >= 12


def test_a_refresh_token_has_one_successor_and_its_reuse_ends_the_family(made, monkeypatch):
    monkeypatch.setattr(sessions, "AT_ONCE", 12)
    assert sessions.check_refreshes(made, 1).examples == []


def test_a_refused_sign_in_makes_the_same_work_for_everybody(made):
    assert sessions.check_timing(made, 3).examples == []


def test_other_peoples_things_are_not_there(who):
    routes = [route for route in who.routes if route.name in SOME]
    assert len(routes) == len(SOME)
    outcome = matrix.check_matrix(who, never, routes)
    assert outcome.examples == []
    assert outcome.counts["checks"] > 150


def test_columns_are_refused_in_a_body(who):
    routes = [route for route in who.routes if route.name in WRITES]
    outcome = assignment.check_assignment(who, routes, never)
    assert outcome.examples == []
    assert outcome.counts["columns offered in a body"] > 400


def test_row_level_security_holds_alone(made, who):
    outcome = rows.check_tables(made, who.victim.person.id, who.callers[STRANGER].id)
    orders = [route for route in who.routes if route.name == "GET /orders/{order_id}"]
    outcome.add(rows.check_routes(who, orders, never))
    assert outcome.examples == []
    assert outcome.counts["tables with rows of the victim"] > 20


@pytest.mark.parametrize("table", OPENED)
def test_an_open_policy_is_found(made, who, table):
    victim, stranger = who.victim.person.id, who.callers[STRANGER].id
    with made.look() as database, doorbugs.without_policy(database, table):
        assert rows.check_tables(made, victim, stranger, only=table).violations > 0
        route = next(each for each in who.routes if each.name == doorbugs.SHOWN_BY[table])
        assert rows.check_routes(who, [route], never).violations > 0


def test_bugs_of_ownership_are_found(who):
    probes = doorbugs.stranger_probes(who)
    outcome = doorbugs.hunt(doorbugs.stranger_bug.bugs, probes)
    assert outcome.examples == []
    assert outcome.counts["bugs found"] == len(probes)


def test_every_id_in_the_document_is_of_a_known_kind_and_a_new_one_is_named():
    document = json.loads(DOCUMENT.read_text())
    assert unknown_ids(document) == []
    assert doorbugs.check_unknown(document).examples == []
