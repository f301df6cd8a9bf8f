"""Trades over HTTP: executed here, and recorded of elsewhere."""

from datetime import timedelta

import pytest

from saras_common.clock import rfc3339

INFY = "NSE:INFY"
BODY = {"instrument": INFY, "side": "BUY", "quantity": 5, "price": "990.00", "traded_at": "2026-03-01T05:00:00Z"}


def pages(user, limit):
    cursor = None
    while True:
        page = user.get("/trades", params={"limit": limit} | ({"cursor": cursor} if cursor else {})).json()
        yield page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return


def execute(door, user, quantity):
    order = door.book.buy(user.user_id, INFY, quantity)
    door.book.fill(order, quantity, quantity * 150_000)
    return order


def test_a_trade_done_elsewhere_is_kept_and_moves_nothing(door):
    user = door.somebody(rupees=10_000)
    before = [user.get(path).json() for path in ("/funds", "/holdings", "/positions", "/pnl", "/transactions")]
    answer = user.post("/trades", BODY)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert {field: made[field] for field in BODY} == BODY
    assert (made["source"], made["kind"], made["value"]) == ("elsewhere", "buy", "4950.00")
    assert (made["order_id"], made["product"], made["charges"]) == (None, None, None)
    assert user.get("/trades").json() == {"items": [made], "next_cursor": None}
    after = [user.get(path).json() for path in ("/funds", "/holdings", "/positions", "/pnl", "/transactions")]
    assert after == before
    assert door.somebody().get("/trades").json()["items"] == []
    door.book.check()


def test_both_kinds_have_one_shape(door):
    user = door.somebody(rupees=100_000)
    order = execute(door, user, 1)
    user.post("/trades", BODY)
    own, recorded = user.get("/trades").json()["items"]
    assert set(own) == set(recorded)
    assert (own["source"], own["order_id"]) == ("platform", order.id)


@pytest.mark.parametrize("written", ["2026-03-01T10:30:00+05:30", "2026-03-01t05:00:00.000z"])
def test_a_time_is_read_in_its_zone(door, written):
    assert door.somebody().post("/trades", {**BODY, "traded_at": written}).json()["traded_at"] == BODY["traded_at"]


def test_a_trade_without_a_time_is_of_now(door):
    body = {**BODY, "price": 990.5}
    del body["traded_at"]
    made = door.somebody().post("/trades", body).json()
    assert (made["traded_at"], made["price"]) == (rfc3339(door.clock.now()), "990.50")


@pytest.mark.parametrize(
    "change",
    [
        {"traded_at": "2090-01-01T00:00:00Z"},
        {"traded_at": "2026-03-01T05:00:00"},
        {"traded_at": "2026-03-01"},
        {"traded_at": 1_772_000_000},
        {"traded_at": "1772000000"},
        {"traded_at": "0001-01-01T00:00:00+05:30"},
        {"traded_at": "2026-02-30T05:00:00Z"},
        {"price": "0"},
        {"price": "-1"},
        {"price": None},
        {"quantity": 0},
        {"quantity": "5"},
        {"side": "HOLD"},
        {"instrument": "infy"},
        {"product": "CNC"},
    ],
)
def test_what_is_no_trade_is_422_and_not_kept(door, change):
    user = door.somebody()
    answer = user.post("/trades", {**BODY, **change})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input"), answer.text
    assert answer.json()["errors"]
    assert user.get("/trades").json()["items"] == []


def test_an_instrument_nobody_lists_is_unknown(door):
    answer = door.somebody().post("/trades", {**BODY, "instrument": "NSE:NOSUCH"})
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_instrument")


def test_a_key_records_one_trade(door):
    user = door.somebody()
    first, again = user.post("/trades", BODY, key="t"), user.post("/trades", BODY, key="t")
    assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")
    assert again.json() == first.json()
    other = user.post("/trades", {**BODY, "quantity": 6}, key="t")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert len(user.get("/trades").json()["items"]) == 1


@pytest.mark.parametrize("limit", [1, 2, 3, 500])
def test_pages_hold_both_newest_first(door, limit):
    user = door.somebody(rupees=100_000)
    quantities = []
    for step in range(1, 8):
        if step % 3:
            at = rfc3339(door.clock.now() - timedelta(seconds=5))
            user.post("/trades", {**BODY, "quantity": step, "traded_at": at})
        else:
            execute(door, user, step)
        quantities.append(step)
        door.clock.advance(60)
    user.post("/trades", {**BODY, "quantity": 99})
    listed = list(pages(user, limit))
    assert [trade["quantity"] for page in listed for trade in page] == [*reversed(quantities), 99]
    assert {len(page) for page in listed[:-1]} <= {limit}


def test_a_trade_recorded_between_two_pages_moves_none(door):
    user = door.somebody(rupees=100_000)
    for step in range(1, 5):
        user.post("/trades", {**BODY, "quantity": step})
    reading = pages(user, 2)
    seen = [trade["quantity"] for trade in next(reading)]
    user.post("/trades", {**BODY, "quantity": 50, "traded_at": "2026-03-01T06:00:00Z"})
    execute(door, user, 6)
    seen += [trade["quantity"] for page in reading for trade in page]
    assert seen == [4, 3, 2, 1]


@pytest.mark.parametrize("cursor", ["x", "WzFd", "WzEsInkiXQ", "WyIxIiwiMSJd"])
def test_a_cursor_of_another_list_is_422(door, cursor):
    assert door.somebody().get("/trades", params={"cursor": cursor}).status_code == 422


def test_another_users_cursor_shows_nothing_of_theirs(door):
    owner, thief = door.somebody(), door.somebody()
    for _ in range(2):
        owner.post("/trades", BODY)
    cursor = owner.get("/trades", params={"limit": 1}).json()["next_cursor"]
    assert thief.get("/trades", params={"cursor": cursor}).json()["items"] == []
