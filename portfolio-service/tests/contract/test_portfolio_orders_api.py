"""Orders over HTTP, shape by shape."""

import pytest
from pydantic import TypeAdapter

from portfolio_service.schemas import OrderOut
from saras_common.events import CancelRequested, OrderProgressed
from saras_common.ids import new_id

INFY, WIPRO = "NSE:INFY", "NSE:WIPRO"

FIELDS = {
    "id", "user_id", "portfolio_id", "instrument", "side", "order_type", "product", "quantity", "price",
    "trigger_price", "validity", "status", "status_reason", "filled_quantity", "average_price", "charges",
    "basket_id", "batch_id", "created_at", "updated_at", "timeline",
}  # fmt: skip
PROBLEM = {"type", "title", "status", "detail", "code", "request_id"}


def test_a_buy_is_answered_with_the_order(door):
    user = door.somebody(rupees=10_000)
    answer = user.buy(INFY, 2, order_type="LIMIT", price="1500.00")
    assert answer.status_code == 202
    order = answer.json()
    assert set(order) == FIELDS
    TypeAdapter(OrderOut).validate_python(order)
    assert order["user_id"] == str(user.user_id)
    assert (order["side"], order["status"], order["price"]) == ("BUY", "ACCEPTED", "1500.00")
    assert (order["product"], order["validity"], order["average_price"]) == ("CNC", "DAY", None)
    assert order["charges"] == dict.fromkeys(
        ("brokerage", "stt", "exchange", "sebi", "stamp_duty", "gst", "dp", "total"), "0.00"
    )
    assert order["timeline"] == [{"at": order["created_at"], "status": "ACCEPTED", "note": None}]
    assert order["created_at"].endswith("Z")
    assert user.get(f"/orders/{order['id']}").json() == order
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize("price", ["1500.00", "1500", 1500, 1500.0, "1500.0"])
def test_prices_are_read_exactly_from_strings_and_numbers(door, price):
    answer = door.somebody(rupees=10_000).buy(INFY, 1, order_type="LIMIT", price=price)
    assert answer.json()["price"] == "1500.00", answer.text


@pytest.mark.parametrize(
    "change",
    [
        {"quantity": 0},
        {"quantity": -1},
        {"quantity": True},
        {"quantity": "1"},
        {"quantity": 1.0},
        {"quantity": 10**12},
        {"price": "NaN"},
        {"price": "1e3"},
        {"price": "-5"},
        {"price": True},
        {"price": "1500.001"},
        {"price": "1" * 30},
        {"instrument": "infy"},
        {"instrument": None},
        {"order_type": "market"},
        {"product": "XXX"},
        {"validity": "GTC"},
        {"side": "SELL"},
        {"basket_id": "x"},
        {"user_id": "x"},
        {"status": "FILLED"},
    ],
)
@pytest.mark.parametrize("path", ["/buy", "/sell", "/orders/batch"])
def test_bodies_that_are_not_orders_are_422_and_nothing_is_stored(door, path, change):
    user = door.somebody(rupees=10_000)
    body = {"instrument": INFY, "quantity": 1, "order_type": "LIMIT", "price": "1500", **change}
    if path == "/orders/batch":
        if "side" in change:
            return
        body = {"orders": [{"side": "BUY", **body}]}
    answer = user.post(path, body)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert answer.json()["code"] == "invalid_input"
    assert answer.json()["errors"]
    assert user.get("/orders").json()["items"] == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"NaN",
        b'{"quantity":NaN}',
        b'{"quantity":1,"quantity":2}',
        b"\xff",
        b'{"a":1e400}',
        b"[" * 99,
        b"{" + b",".join(b'"k%d":0' % number for number in range(5_000)) + b"}",
        b'{"orders":[' + b",".join([b"{}"] * 30_000) + b"]}",
    ],
)
@pytest.mark.parametrize("path", ["/buy", "/orders/batch"])
def test_hostile_json_is_422(door, path, body):
    user = door.somebody()
    answer = user.call("POST", path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert set(answer.json()) >= PROBLEM


def test_a_batch_answers_for_each_order(door):
    user = door.somebody(rupees=4_000)
    orders = [
        {"side": "BUY", "instrument": INFY, "quantity": 1, "order_type": "MARKET"},
        {"side": "SELL", "instrument": INFY, "quantity": 1, "order_type": "MARKET"},
        {"side": "BUY", "instrument": WIPRO, "quantity": 1, "order_type": "LIMIT", "price": "250.00"},
    ]
    answer = user.post("/orders/batch", {"orders": orders})
    assert answer.status_code == 202
    first, second, third = answer.json()["items"]
    assert set(first) == set(third) == FIELDS
    assert set(second) >= PROBLEM
    assert (second["code"], second["status"]) == ("insufficient_holdings", 422)
    atomic = user.post("/orders/batch", {"orders": orders, "atomic": True})
    assert atomic.status_code == 422
    assert {error["field"] for error in atomic.json()["errors"]} == {"orders.1"}


@pytest.mark.parametrize("orders", [[], [{}] * 1001])
def test_a_batch_has_one_to_a_thousand_orders(door, orders):
    assert door.somebody().post("/orders/batch", {"orders": orders}).status_code == 422


def test_a_batch_of_a_thousand(door):
    user = door.somebody(rupees=1_000_000)
    order = {"side": "BUY", "instrument": WIPRO, "quantity": 1, "order_type": "MARKET"}
    answer = user.post("/orders/batch", {"orders": [order] * 1000, "atomic": True}, key="thousand")
    assert len(answer.json()["items"]) == 1000
    again = user.post("/orders/batch", {"orders": [order] * 1000, "atomic": True}, key="thousand")
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == answer.json()


def test_refusals_are_problems_with_a_code(door):
    answer = door.somebody(rupees=10).buy(INFY, 1)
    assert answer.status_code == 422
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert set(answer.json()) >= PROBLEM
    assert answer.json()["code"] == "insufficient_funds"


def test_a_key_makes_a_request_repeatable(door):
    user = door.somebody(rupees=10_000)
    first = user.buy(INFY, 1, key="once")
    again = user.buy(INFY, 1, key="once")
    assert "idempotency-replayed" not in first.headers
    assert (again.status_code, again.headers["idempotency-replayed"]) == (202, "true")
    assert again.json() == first.json()
    other = user.buy(INFY, 2, key="once")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    # the same order without its defaults spelled out is the same body
    assert user.buy(INFY, 1, key="once", product="CNC").headers["idempotency-replayed"] == "true"
    refused = user.sell(WIPRO, 1, key="refused")
    again = user.sell(WIPRO, 1, key="refused")
    assert again.json()["code"] == refused.json()["code"] == "insufficient_holdings"
    assert again.headers["idempotency-replayed"] == "true"
    assert door.somebody(rupees=10_000).buy(INFY, 1, key="once").json()["id"] != first.json()["id"]


@pytest.mark.parametrize("key", ["", " ", "a" * 256, "\x01", "é"])
def test_a_key_is_printable_ascii(door, key):
    user = door.somebody(rupees=10_000)
    assert user.call("POST", "/buy", json={}, headers={"Idempotency-Key": key.encode("latin-1")}).status_code == 422


def test_lists_are_paged_and_filtered(door):
    user = door.somebody(rupees=100_000)
    ids = [user.buy(INFY if number % 2 else WIPRO, 1).json()["id"] for number in range(7)]
    seen, cursor = [], None
    while True:
        page = user.get("/orders", params={"limit": 3} | ({"cursor": cursor} if cursor else {})).json()
        seen += [order["id"] for order in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == ids[::-1]
    assert len(user.get("/orders", params={"instrument": INFY}).json()["items"]) == 3
    assert len(user.get("/orders", params={"status": "ACCEPTED"}).json()["items"]) == 7
    assert user.get("/orders", params={"status": "FILLED"}).json() == {"items": [], "next_cursor": None}
    assert user.get("/orders", params={"since": "2099-01-01T00:00:00Z"}).json()["items"] == []
    for bad in ({"limit": 0}, {"limit": 501}, {"cursor": "x"}, {"cursor": "WzFd"}, {"status": "NO"}, {"since": "x"}):
        assert user.get("/orders", params=bad).status_code == 422, bad


def test_since_is_a_time_with_a_zone(door):
    user = door.somebody(rupees=10_000)
    order = user.buy(INFY, 1).json()
    since, later = "2026-03-02T10:30:00+05:30", "2026-03-02T10:30:00.000001+05:30"
    assert order["created_at"] == "2026-03-02T05:00:00Z"
    assert [item["id"] for item in user.get("/orders", params={"since": since}).json()["items"]] == [order["id"]]
    assert user.get("/orders", params={"since": later}).json()["items"] == []
    for bad in ("1772427600", "1772427600.5", "2026-03-02", "2026-03-02T05:00:00", "2026-03-02 05:00:00Z", "", "0"):
        refused = user.get("/orders", params={"since": bad})
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid_input"), bad


def test_a_cancel_is_asked_for_once(door):
    user = door.somebody(rupees=10_000)
    order = user.buy(INFY, 1).json()
    before = len(door.book.told(CancelRequested))
    answer = user.call("DELETE", f"/orders/{order['id']}")
    assert answer.status_code == 202
    assert answer.json()["status"] == "ACCEPTED"
    assert answer.json()["timeline"][-1]["note"] == "cancel requested"
    assert user.call("DELETE", f"/orders/{order['id']}", key="c").status_code == 202
    assert user.call("DELETE", f"/orders/{order['id']}", key="c").headers["idempotency-replayed"] == "true"
    assert len(door.book.told(CancelRequested)) == before + 1
    door.book.tell(
        OrderProgressed(at=door.clock.now(), order_ids=[order["id"]], status="CANCELLED", reason="asked by the user")
    )
    gone = user.call("DELETE", f"/orders/{order['id']}")
    assert (gone.status_code, gone.json()["code"]) == (409, "conflict")
    shown = user.get(f"/orders/{order['id']}").json()
    assert (shown["status"], shown["status_reason"]) == ("CANCELLED", "asked by the user")
    assert user.get("/funds").json()["held"] == "0.00"


def test_another_service_places_baskets_for_a_user(door):
    user = door.somebody(rupees=10_000)
    basket = str(new_id())
    body = {
        "user_id": str(user.user_id),
        "basket_id": basket,
        "atomic": True,
        "orders": [{"side": "BUY", "instrument": WIPRO, "quantity": 1, "order_type": "MARKET"}],
    }
    assert user.post("/internal/orders/batch", body).status_code == 403
    answer = door.as_service("POST", "/internal/orders/batch", json=body, key="leg")
    assert answer.status_code == 202, answer.text
    assert answer.json()["items"][0]["basket_id"] == basket
    # the user's own key of the same name is another key
    assert "idempotency-replayed" not in user.buy(WIPRO, 1, key="leg").headers
    assert door.as_service("POST", "/internal/orders/batch", json=body, key="leg").headers["idempotency-replayed"]
    assert door.as_service("POST", "/buy", json={}).status_code == 401
