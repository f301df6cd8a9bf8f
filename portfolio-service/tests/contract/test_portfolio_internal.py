"""What the platform's own processes may ask of the book, and what it tells of recorded trades."""

from uuid import UUID

import pytest

from saras_common.events import SUBSCRIPTIONS, TradeRecorded

INFY = "NSE:INFY"
BODY = {"instrument": INFY, "side": "SELL", "quantity": 5, "price": "990.00", "traded_at": "2026-03-01T05:00:00Z"}


def books(door, **params):
    answer = door.as_service("GET", "/internal/books", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def book_of(door, user):
    (item,) = books(door, user_id=str(user.user_id))["items"]
    return item


def test_a_book_is_what_the_user_sees(door):
    user = door.somebody(rupees=100_000)
    order = door.book.buy(user.user_id, INFY, 10)
    door.book.fill(order, 10, 1_500_100, (0, 1500, 46, 2, 225, 9, 0))
    door.book.true_up(order)
    user.post("/funds/withdraw", {"amount": "500.00"})
    found, portfolio = book_of(door, user), user.get("/portfolio").json()
    ((portfolio_id, instrument, product, quantity, cost, realised, charges, last),) = found["positions"]
    assert (portfolio_id, portfolio["id"]) == (found["default_portfolio_id"],) * 2
    assert (instrument, product, quantity, cost, realised) == (INFY, "CNC", 10, 1_500_100, 0)
    assert (charges, last) == (1782, 150_000)
    assert f"{found['cash'] / 100:.2f}" == portfolio["cash"]
    assert f"{(found['cash'] + quantity * last) / 100:.2f}" == portfolio["total_value"]
    assert (found["deposited"], found["withdrawn"]) == (10_000_000, 50_000)


def test_cash_under_a_hold_is_still_cash(door):
    user = door.somebody(rupees=100_000)
    door.book.buy(user.user_id, INFY, 10)
    assert book_of(door, user)["cash"] == 10_000_000


def test_pages_follow_one_another_to_the_end(door):
    made = {str(door.somebody(rupees=1).user_id) for _ in range(5)}
    seen, after = [], {}
    while True:
        page = books(door, limit=2, **after)
        seen += [item["user_id"] for item in page["items"]]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert seen == sorted(seen, key=lambda text: UUID(text).int)
    assert len(seen) == len(set(seen))
    assert made <= set(seen)


@pytest.mark.parametrize("who", ["somebody", "admin"])
def test_people_may_not_ask(door, who):
    assert getattr(door, who)().get("/internal/books").status_code == 403


def test_a_recorded_trade_is_told_once_however_often_it_is_sent(door, monkeypatch):
    monkeypatch.setitem(SUBSCRIPTIONS, "somebody", frozenset({TradeRecorded.type}))
    user = door.somebody()
    made = [user.post("/trades", BODY, key="once").json() for _ in range(2)]
    told = [event for event in door.book.told(TradeRecorded) if event.user_id == user.user_id]
    assert [str(event.trade_id) for event in told] == [made[0]["id"]]
    assert (told[0].side, told[0].quantity, told[0].price_paise) == ("SELL", 5, 99_000)
    refused = user.post("/trades", {**BODY, "instrument": "NSE:NONE"})
    assert refused.status_code == 422
    assert len([event for event in door.book.told(TradeRecorded) if event.user_id == user.user_id]) == 1
