"""Prices users wait for."""

from datetime import timedelta

import pytest

from saras_common.events import Mark, MarksChanged
from saras_common.ids import new_id


def quote(desk, rupees, instrument="NSE:INFY", later=0):
    mark = Mark(instrument=instrument, last_paise=round(rupees * 100))
    return MarksChanged(at=desk.clock.now() + timedelta(seconds=later), marks=[mark])


def alert(desk, user, **body):
    answer = desk.call("POST", "/alerts", user, json={"instrument": "NSE:INFY", **body})
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.mark.parametrize(
    ("body", "misses", "hits", "said"),
    [
        ({"condition": "above", "price": "1600.00"}, [1500, 1599.95], 1600, "NSE:INFY reached ₹1,600.00."),
        ({"condition": "below", "price": 1400}, [1500, 1400.05], 1399.5, "NSE:INFY fell to ₹1,400.00."),
        (
            {"condition": "drawdown", "percent": "7.5"},
            [1500, 2000, 1850.05],
            1850,
            "NSE:INFY fell 7.50 % from its high of ₹2,000.00.",
        ),
    ],
)
def test_an_alert_fires_once_when_its_price_is_reached(desk, body, misses, hits, said):
    user = desk.person()
    made = alert(desk, user, **body)
    assert made["status"] == "waiting"
    desk.tell_market(*(quote(desk, price) for price in misses))
    assert desk.inbox(user) == []
    desk.tell_market(quote(desk, hits, "NSE:TCS"), quote(desk, hits))
    desk.tell_market(quote(desk, hits))
    (item,) = desk.inbox(user)
    assert said in item["body"]
    (shown,) = desk.call("GET", "/alerts", user).json()["items"]
    assert (shown["status"], shown["fired_price"]) == ("fired", f"{hits:.2f}")


def test_a_price_from_before_the_alert_is_nobodys(desk):
    user = desk.person()
    alert(desk, user, condition="above", price="1.00")
    desk.tell_market(quote(desk, 2, later=-1))
    assert desk.inbox(user) == []


def test_what_makes_no_sense_is_refused(desk):
    user = desk.person()
    for body in (
        {"condition": "above"},
        {"condition": "above", "price": "1", "percent": "5"},
        {"condition": "drawdown", "price": "1"},
        {"condition": "drawdown", "percent": "0"},
        {"condition": "drawdown", "percent": "0.00"},
        {"condition": "drawdown", "percent": "100"},
        {"condition": "drawdown", "percent": "1.234"},
        {"condition": "above", "price": "0"},
        {"condition": "above", "price": "-1"},
        {"condition": "above", "price": "1.005"},
        {"condition": "sideways", "price": "1"},
        {"condition": "above", "price": "1", "instrument": "nse:infy"},
        {"condition": "above", "price": True},
    ):
        answer = desk.call("POST", "/alerts", user, json={"instrument": "NSE:INFY", **body})
        assert answer.status_code == 422, body


def test_alerts_are_paged_removed_and_counted(desk):
    user = desk.person()
    made = [alert(desk, user, condition="above", price=str(n + 1))["id"] for n in range(5)]
    first = desk.call("GET", "/alerts?limit=3", user).json()
    rest = desk.call("GET", f"/alerts?limit=3&cursor={first['next_cursor']}", user).json()
    assert [item["id"] for item in first["items"] + rest["items"]] == made
    assert rest["next_cursor"] is None
    assert desk.call("DELETE", f"/alerts/{made[0]}", user).status_code == 204
    assert desk.call("DELETE", f"/alerts/{made[0]}", user).status_code == 404
    assert desk.call("DELETE", f"/alerts/{new_id()}", user).status_code == 404
    for n in range(196):
        alert(desk, user, condition="above", price=str(n + 10))
    answer = desk.call("POST", "/alerts", user, json={"instrument": "NSE:X", "condition": "above", "price": "1"})
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_alerts")
