"""Answers are written by hand: what the OpenAPI document says of them is held against real ones."""

import json

import pytest
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError

from portfolio_service.api.routers import routers

INFY, WIPRO = "NSE:INFY", "NSE:WIPRO"
CHARGES = (0, 150, 5, 0, 22, 1, 0)
DECLARED = {
    (method, route.path): route
    for router in routers
    for route in router.routes
    if isinstance(route, APIRoute) and route.include_in_schema
    for method in route.methods
}


def check(answer, method, path):
    """The answer is the one declared, with nothing beside it at any depth."""
    route = DECLARED[method, path]
    assert answer.status_code == (route.status_code or 200), answer.text
    TypeAdapter(route.response_model).validate_json(answer.content, strict=True, extra="forbid")
    return answer.json()


def test_every_operation_declares_its_answer(door):
    for path, methods in door.client.get("/openapi.json").json()["paths"].items():
        for method, operation in methods.items():
            status = str(DECLARED[method.upper(), path].status_code or 200)
            assert operation["responses"][status]["content"]["application/json"]["schema"].get("$ref"), (method, path)


def trade(door, user):
    """3 INFY bought, at an average with a part of a paisa, and one of them sold."""
    for side, quantity, value in (("BUY", 3, 450_001), ("SELL", 1, 160_000)):
        order = door.book.order(user.user_id, side, INFY, quantity)
        door.book.fill(order, quantity, value, CHARGES)
        door.book.true_up(order)


def test_answers_are_what_is_declared(door_with):
    with door_with(mode="live") as door:
        user, admin = door.somebody(rupees=10_000), door.admin()
        trade(door, user)
        seen = set()

        def call(method, path, body=None, *, by=user, **named):
            seen.add((method, path))
            return check(by.call(method, path.format(**named), json=body), method, path)

        order = {"instrument": WIPRO, "quantity": 1, "order_type": "LIMIT", "price": "249.50"}
        placed = call("POST", "/buy", order)
        call("POST", "/sell", {"instrument": INFY, "quantity": 1, "order_type": "MARKET"})
        call("POST", "/orders/batch", {"orders": [{"side": "BUY", **order}, {"side": "SELL", **order}]})
        call("DELETE", "/orders/{order_id}", order_id=placed["id"])
        call("GET", "/orders/{order_id}", order_id=placed["id"])
        for path, action in (("/funds/deposit", "approve"), ("/funds/withdraw", "reject")):
            moved = call("POST", path, {"amount": "10"})
            call("POST", f"/admin/funds/{{movement_id}}/{action}", by=admin, movement_id=moved["id"])
        made = call("POST", "/portfolio", {"name": "Long term"})
        call("GET", "/portfolios/{portfolio_id}", portfolio_id=made["id"])
        call("POST", "/trades", {"instrument": INFY, "side": "SELL", "quantity": 1, "price": "1"})
        for path in (
            "/orders",
            "/funds/movements",
            "/portfolios",
            "/holdings",
            "/positions",
            "/transactions",
            "/trades",
        ):
            assert call("GET", path)["items"], path
        assert call("GET", "/admin/funds", by=admin)["items"]
        for path in ("/funds", "/portfolio", "/pnl", "/exposure"):
            call("GET", path)
        assert seen == set(DECLARED)
        # without a price there are figures nobody knows
        door.book.rows("UPDATE marks SET instrument = 'NSE:GONE' WHERE instrument = 'NSE:INFY' RETURNING 1")
        assert call("GET", "/pnl")["unrealised_pnl"] is None
        for path in ("/portfolios", "/portfolio", "/holdings", "/positions", "/exposure"):
            call("GET", path)


def test_the_check_sees_what_is_not_declared():
    adapter = TypeAdapter(DECLARED["GET", "/funds"].response_model)
    funds = dict.fromkeys(("cash", "held", "available", "collateral", "margin_used"), "1.00")
    adapter.validate_json(json.dumps(funds), strict=True, extra="forbid")
    for wrong in ({**funds, "more": "1.00"}, {**funds, "cash": 1.0}, {**funds, "cash": "1"}, {"cash": "1.00"}):
        with pytest.raises(ValidationError):
            adapter.validate_json(json.dumps(wrong), strict=True, extra="forbid")
    nested = {"items": [{"instrument": INFY, "market_value": None, "weight": None, "more": 1}]}
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(DECLARED["GET", "/holdings"].response_model).validate_json(
            json.dumps(nested), strict=True, extra="forbid"
        )
    assert ("items", 0, "more") in {error["loc"] for error in caught.value.errors()}
