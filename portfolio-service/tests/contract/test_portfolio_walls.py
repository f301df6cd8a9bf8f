"""Who gets in, and what another user's ids are worth."""

import contextlib
from uuid import UUID

import pytest

from portfolio_service.usecases import orders as order_usecases
from saras_common.auth import anonymous
from saras_common.db import Database

INFY = "NSE:INFY"
ROUTES = [
    ("GET", "/funds"), ("POST", "/funds/deposit"), ("POST", "/funds/withdraw"), ("GET", "/funds/movements"),
    ("GET", "/admin/funds"), ("POST", "/admin/funds/x/approve"), ("POST", "/admin/funds/x/reject"),
    ("GET", "/portfolios"), ("POST", "/portfolio"), ("GET", "/portfolio"), ("GET", "/portfolios/x"),
    ("POST", "/buy"), ("POST", "/sell"), ("POST", "/orders/batch"), ("POST", "/internal/orders/batch"),
    ("GET", "/orders"), ("GET", "/orders/x"), ("DELETE", "/orders/x"), ("GET", "/transactions"),
    ("GET", "/holdings"), ("GET", "/positions"), ("GET", "/pnl"), ("GET", "/exposure"), ("GET", "/trades"),
    ("POST", "/trades"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_nobody_gets_in_without_a_token_for_this_service(door, method, path):
    assert door.client.request(method, path, json={}).status_code == 401
    forged = {"X-Internal-Token": "eyJhbGciOiJub25lIn0.e30.", "X-User-Id": "1"}
    assert door.client.request(method, path, json={}, headers=forged).status_code == 401
    nobody = anonymous(door.clock.now().timestamp() + 60)
    assert door.call(nobody, method, path, json={}).status_code in (401, 403)


def test_every_route_is_in_that_list(door):
    listed = {
        (method.upper(), path.replace("{order_id}", "x").replace("{portfolio_id}", "x").replace("{movement_id}", "x"))
        for path, methods in door.client.get("/openapi.json").json()["paths"].items()
        for method in methods
    }
    assert listed | {("POST", "/internal/orders/batch")} == set(ROUTES)


def test_another_users_ids_are_unknown(door):
    owner, thief = door.somebody(rupees=10_000), door.somebody(rupees=10_000)
    order = owner.buy(INFY, 1, key="k").json()
    portfolio = owner.get("/portfolio").json()
    for method, path in (
        ("GET", f"/orders/{order['id']}"),
        ("DELETE", f"/orders/{order['id']}"),
        ("GET", f"/portfolios/{portfolio['id']}"),
    ):
        answer = thief.call(method, path)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    refused = thief.buy(INFY, 1, portfolio_id=portfolio["id"])
    assert (refused.status_code, refused.json()["code"]) == (404, "not_found")
    batch = {"orders": [{"side": "BUY", "instrument": INFY, "quantity": 1, "order_type": "MARKET",
                         "portfolio_id": portfolio["id"]}]}  # fmt: skip
    assert thief.post("/orders/batch", batch).json()["items"][0]["status"] == 404
    assert thief.buy(INFY, 1, key="k").json()["id"] != order["id"]
    for path in ("/orders", "/transactions", "/trades"):
        cursor = owner.get(path, params={"limit": 1}).json()["next_cursor"]
        shown = thief.get(path, params={"cursor": cursor} if cursor else {}).json()["items"]
        assert order["id"] not in {item.get("id") for item in shown}


@pytest.mark.parametrize("odd", ["x", "00000000-0000-0000-0000-000000000000", "%00", "' OR 1=1", "a" * 300])
def test_ids_that_are_none_are_unknown(door, odd):
    user = door.somebody()
    assert user.get(f"/orders/{odd}").status_code == 404
    assert user.get(f"/portfolios/{odd}").status_code == 404


def test_the_second_wall_stands_when_the_application_forgets_to_ask(book):
    """The queries without ``user_id = caller``: row-level security alone."""
    owner, thief = book.user(rupees=10_000), book.user(rupees=10_000)
    order = book.buy(owner)

    def careless(session, _user_id: UUID, order_id):
        return order_usecases.orders.list_views(session, [str(order_id)])

    with book.database.for_users(thief) as session:
        assert careless(session, thief, order.id) == {}
    with book.database.for_users(owner) as session:
        assert list(careless(session, owner, order.id)) == [order.id]


def test_without_a_scope_there_is_nothing_to_see(book, book_database):
    book.user(rupees=10_000)
    bare = Database(book_database.url, schema="portfolio_service", pool_size=1)
    with contextlib.closing(bare.engine.raw_connection()) as connection:
        for table in ("clients", "orders", "entries", "balances", "movements", "positions", "lots", "portfolios",
                      "recorded_trades"):  # fmt: skip
            assert connection.cursor().execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
    bare.dispose()


def test_a_body_beyond_all_measure_is_refused_by_the_edge_or_the_model(door):
    body = b'{"orders":[' + b"1," * 2_000_000 + b"1]}"
    answer = door.somebody().call("POST", "/orders/batch", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (413, 422)
    assert len(answer.content) < 20_000


def test_health_metrics_and_problems_wear_the_house_style(door):
    assert door.client.get("/health/live").json() == {"status": "ok"}
    assert door.client.get("/health/ready").json()["dependencies"] == {"database": "ok", "prices": "ok"}
    metrics = door.client.get("/metrics").text
    for name in ("saras_book_orders_total", "saras_entry_group_orders", "saras_book_imbalance_paise"):
        assert name in metrics
    assert door.client.get("/nothing").json()["code"] == "not_found"
    assert door.client.get("/buy").status_code == 405
