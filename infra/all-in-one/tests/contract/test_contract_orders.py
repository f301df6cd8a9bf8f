"""Orders, the ledger and portfolios as one user sees them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from urllib.parse import quote

import pytest
from contract_client import (
    ENDED,
    INSTANT,
    MONEY,
    User,
    World,
    check_order,
    check_portfolio,
    no_floats,
    until,
)

OPEN = {"ACCEPTED", "QUEUED", "WORKING", "PARTIALLY_FILLED"}


def check_ledger(user: User) -> list:
    """Every rupee and every share: the newest balance is the sum, and it is what /funds and the holdings say."""
    rows = list(user.pages("/transactions", limit=3))
    assert len({row["id"] for row in rows}) == len(rows)
    for row in rows:
        assert INSTANT.fullmatch(row["at"])
        if row["asset"] == "INR":
            assert MONEY.fullmatch(row["amount"])
            assert MONEY.fullmatch(row["balance"])
        else:
            assert type(row["amount"]) is type(row["balance"]) is int
    balances: dict[tuple, Decimal] = {}
    for row in reversed(rows):  # the newest first
        account = (row["asset"], row["product"])
        balances[account] = balances.get(account, Decimal(0)) + Decimal(row["amount"])
        assert Decimal(row["balance"]) == balances[account], row
    assert balances.get(("INR", None), Decimal(0)) == user.cash()
    held = {h["instrument"]: Decimal(h["quantity"]) for h in user.get("/portfolio")["holdings"]}
    booked = {asset: count for (asset, _), count in balances.items() if asset != "INR" and count}
    assert booked == held
    return rows


def trace(user: User) -> tuple[object, ...]:
    return user.get("/funds"), user.get("/portfolio"), list(user.pages("/transactions"))


def test_the_readmes_journey_needs_no_waiting(world: World):
    user = world.new_user("100000")
    order = user.place("BUY", "NSE:INFY", 5)
    assert order["status"] == "ACCEPTED"
    assert user.get("/portfolio")["cash"] == "100000.00"
    until(lambda: user.order(order["id"])["status"] in ("QUEUED", "WORKING", "FILLED"), "taken up")
    if user.order(order["id"])["status"] != "FILLED":
        user.call("DELETE", f"/orders/{order['id']}").expect(200, 202, 204)


def test_delivery_round_trip_to_the_paisa(world: World, admin: User, user: User):
    instrument = world.fresh_instrument("1500.00")
    order = user.place("BUY", instrument, 100)
    check_order(order)
    assert (order["user_id"], order["instrument"], order["side"]) == (user.id, instrument, "BUY")
    assert (order["product"], order["validity"], order["order_type"]) == ("CNC", "DAY", "MARKET")
    assert (order["price"], order["average_price"], order["filled_quantity"]) == (None, None, 0)
    funds = user.get("/funds")
    assert funds["cash"] == "1000000.00"
    assert Decimal(funds["held"]) >= Decimal("150178.11")
    assert Decimal(funds["available"]) == Decimal(funds["cash"]) - Decimal(funds["held"])
    world.trade(admin, (user, order["id"]), statuses={"FILLED"})
    done = user.order(order["id"])
    check_order(done)
    assert (done["filled_quantity"], done["average_price"]) == (100, "1500.00")
    assert done["charges"]["total"] == "178.11"
    assert (done["charges"]["stt"], done["charges"]["stamp_duty"]) == ("150.00", "22.50")
    assert (done["charges"]["brokerage"], done["charges"]["dp"]) == ("0.00", "0.00")
    assert user.get("/funds") == {
        **funds,
        "cash": "849821.89",
        "held": "0.00",
        "available": "849821.89",
    }
    world.set_price(instrument, "1600.00")
    portfolio = until(
        lambda: (p := user.get("/portfolio"))["market_value"] == "160000.00" and p, "valued at the new price"
    )
    check_portfolio(portfolio)
    assert portfolio["holdings"][0]["quantity"] == 100
    assert portfolio["holdings"][0]["last_price"] == "1600.00"
    assert portfolio["unrealised_pnl"] == portfolio["holdings"][0]["unrealised_pnl"] == "10000.00"
    assert portfolio["total_value"] == "1009821.89"
    assert user.get(f"/portfolios/{portfolio['id']}") == portfolio
    sold = user.place("SELL", instrument, 100)
    world.trade(admin, (user, sold["id"]), statuses={"FILLED"})
    done = user.order(sold["id"])
    check_order(done)
    assert done["charges"]["dp"] == "15.34"
    assert done["charges"]["total"] == "181.32"
    assert user.cash() == Decimal("849821.89") + 160000 - Decimal("181.32")
    portfolio = user.get("/portfolio")
    check_portfolio(portfolio)
    assert [row for row in portfolio["holdings"] if row["quantity"]] == []
    # Realised is before or after charges; both are a stated figure, nothing else is.
    assert Decimal(portfolio["realised_pnl"]) in (Decimal(10000), Decimal("9640.57"))
    rows = check_ledger(user)
    charged = sum(Decimal(row["charges"]) for row in rows if row["order_id"] == order["id"])
    assert charged == Decimal("178.11"), "charges stand once"


def test_intraday_charges(world: World, admin: User, user: User):
    instrument = world.fresh_instrument("1000.00")
    order = user.place("BUY", instrument, 400, product="MIS")
    world.trade(admin, (user, order["id"]), statuses={"FILLED"})
    assert user.order(order["id"])["charges"]["total"] == "50.56"
    positions = list(user.pages("/positions"))
    assert [(row["instrument"], row["quantity"]) for row in positions] == [(instrument, 400)]
    world.set_price(instrument, "1100.00")
    sold = user.place("SELL", instrument, 400, product="MIS")
    world.trade(admin, (user, sold["id"]), statuses={"FILLED"})
    done = user.order(sold["id"])
    check_order(done)
    assert done["charges"]["total"] == "150.06"
    assert user.cash() == Decimal(1000000) + 40000 - Decimal("50.56") - Decimal("150.06")


def test_limit_orders_wait_for_their_price(world: World, admin: User, user: User):
    instrument = world.fresh_instrument("1000.00")
    order = user.place("BUY", instrument, 10, "LIMIT", price="950.00")
    check_order(order)
    assert (order["price"], order["trigger_price"]) == ("950.00", None)
    held = user.held()
    assert Decimal(9500) <= held <= Decimal(9600)
    world.trade(admin, (user, order["id"]), statuses={"WORKING"})
    assert user.order(order["id"])["filled_quantity"] == 0
    world.set_price(instrument, "940.00")
    until(lambda: user.order(order["id"])["status"] == "FILLED", "filled at its price", 30)
    done = user.order(order["id"])
    assert Decimal("940.00") <= Decimal(done["average_price"]) <= Decimal("950.00")
    assert user.held() == 0
    assert user.shares(instrument) == 10
    check_ledger(user)


def test_limit_order_prices_are_numbers_or_strings(user: User):
    for price in ("1000.00", "1000", 1000, 1000.5):
        order = user.call(
            "POST", "/buy", {"instrument": "NSE:INFY", "quantity": 1, "order_type": "LIMIT", "price": price}
        ).expect(202)
        assert order["price"] == f"{Decimal(str(price)):.2f}"
        user.call("DELETE", f"/orders/{order['id']}").expect(200, 202, 204)


def test_stop_orders_wait_for_their_trigger(world: World, admin: User, user: User):
    instrument = world.fresh_instrument("1000.00")
    world.buy_shares(admin, user, instrument, 20)
    stop = user.place("SELL", instrument, 10, "SL", price="940.00", trigger_price="950.00")
    market = user.place("SELL", instrument, 10, "SL-M", trigger_price="950.00")
    for order in (stop, market):
        check_order(order)
        assert order["trigger_price"] == "950.00"
    world.trade(admin, (user, stop["id"]), (user, market["id"]), statuses={"WORKING"})
    world.set_price(instrument, "960.00")
    assert {user.order(order["id"])["status"] for order in (stop, market)} == {"WORKING"}
    world.set_price(instrument, "945.00")
    until(lambda: all(user.order(o["id"])["status"] == "FILLED" for o in (stop, market)), "both triggered", 30)
    assert user.shares(instrument) == 0
    check_ledger(user)


def test_ioc_that_meets_no_price_ends_at_once(world: World, admin: User, user: User):
    instrument = world.fresh_instrument("1000.00")
    order = user.place("BUY", instrument, 10, "LIMIT", price="900.00", validity="IOC")
    assert order["validity"] == "IOC"
    world.trade(admin, (user, order["id"]), statuses={"CANCELLED", "EXPIRED"})
    assert user.order(order["id"])["filled_quantity"] == 0
    assert user.get("/funds")["held"] == "0.00"


BUY = {"instrument": "NSE:INFY", "quantity": 1, "order_type": "MARKET"}


@pytest.mark.parametrize(
    ("side", "change", "code"),
    [
        ("buy", {"quantity": 900}, "insufficient_funds"),
        ("buy", {"quantity": 900, "order_type": "LIMIT", "price": "1400.00"}, "insufficient_funds"),
        ("sell", {}, "insufficient_holdings"),
        ("buy", {"instrument": "NSE:NOSUCH"}, "unknown_instrument"),
        ("buy", {"order_type": "LIMIT", "price": "1400.03"}, "price_off_tick"),
        ("buy", {"order_type": "SL-M", "trigger_price": "1600.07"}, "price_off_tick"),
        ("buy", {"quantity": 10**9}, None),
        ("buy", {"quantity": 0}, None),
        ("buy", {"quantity": -5}, None),
        ("buy", {"instrument": "INFY"}, None),
        ("buy", {"instrument": "nse:infy"}, None),
        ("buy", {"order_type": "LIMIT"}, None),
        ("buy", {"order_type": "LIMIT", "price": "0"}, None),
        ("buy", {"order_type": "LIMIT", "price": "-1400.00"}, None),
        ("buy", {"order_type": "SL", "price": "1600.00"}, None),
        ("buy", {"order_type": "SL-M"}, None),
        ("buy", {"order_type": "MARKET", "price": "1500.00"}, None),
        ("buy", {"order_type": "ICEBERG"}, None),
        ("buy", {"product": "XYZ"}, None),
        ("buy", {"validity": "GTC"}, None),
        ("buy", {"side": "SELL"}, None),
        ("buy", {"status": "FILLED"}, None),
        ("buy", {"user_id": "01a1fd5b-4bfe-7409-b14f-9da48370517d"}, None),
    ],
    ids=str,
)
def test_refusals_leave_no_trace(standing_user: User, side: str, change: dict, code: str | None):
    before = trace(standing_user)
    standing_user.call("POST", f"/{side}", {**BUY, **change}).refused(422, code)
    assert trace(standing_user) == before
    assert list(standing_user.pages("/orders?status=FILLED")) == []


def test_a_batch_takes_what_it_can(user: User):
    good = {**BUY, "side": "BUY", "order_type": "LIMIT", "price": "1000.00"}
    bad = {**good, "instrument": "NSE:NOSUCH"}
    answer = user.call("POST", "/orders/batch", {"orders": [good, bad, good], "atomic": False}).expect(202)
    first, second, third = answer["items"]
    check_order(first)
    check_order(third)
    assert second["status"] == 422
    assert second["code"] == "unknown_instrument"
    assert {row["id"] for row in user.pages("/orders") if row["status"] != "REJECTED"} == {first["id"], third["id"]}
    for order in (first, third):
        user.call("DELETE", f"/orders/{order['id']}").expect(200, 202, 204)
    until(lambda: user.get("/funds")["held"] == "0.00", "holds released")


def test_an_atomic_batch_is_all_or_nothing(user: User):
    good = {**BUY, "side": "BUY", "order_type": "LIMIT", "price": "1000.00"}
    before = trace(user)
    for bad in ({**good, "instrument": "NSE:NOSUCH"}, {**good, "quantity": 999}, {**good, "side": "SELL"}):
        answer = user.call("POST", "/orders/batch", {"orders": [good, bad, good], "atomic": True})
        if answer.status == 202:
            assert all(isinstance(item["status"], int) for item in answer.body["items"]), answer
        else:
            answer.refused(422)
        assert trace(user) == before
        assert {row["status"] for row in user.pages("/orders")} <= {"REJECTED"}
    for orders in ([], [good] * 1001):
        user.call("POST", "/orders/batch", {"orders": orders, "atomic": True}).refused(422)
    assert trace(user) == before
    # Together too dear, each alone affordable.
    answer = user.call("POST", "/orders/batch", {"orders": [{**good, "quantity": 600}] * 2, "atomic": True})
    if answer.status == 202:
        assert all(isinstance(item["status"], int) for item in answer.body["items"]), answer
    else:
        answer.refused(422, "insufficient_funds")
    assert trace(user) == before


def test_a_batch_of_a_thousand(world: World, admin: User):
    user = world.new_user("5000000.00")
    instrument = world.fresh_instrument("1000.00")
    orders = [{"instrument": instrument, "side": "BUY", "quantity": 1, "order_type": "MARKET"}] * 1000
    items = user.call("POST", "/orders/batch", {"orders": orders, "atomic": True}).expect(202)["items"]
    assert len({item["id"] for item in items}) == 1000
    until(lambda: user.get("/orders?status=ACCEPTED&limit=1")["items"] == [], "all queued", 30)
    world.trigger(admin)
    until(lambda: user.shares(instrument) == 1000, "all filled", 40)
    until(lambda: user.get("/funds")["held"] == "0.00", "nothing held")
    done = list(user.pages("/orders"))
    assert {row["status"] for row in done} == {"FILLED"}
    spent = sum(Decimal(row["charges"]["total"]) for row in done) + 1000 * 1000
    assert user.cash() == Decimal(5000000) - spent
    placed = [
        row
        for row in world.journal()
        if row["event"] == "order_accepted" and f"{row['exchange']}:{row['tradingsymbol']}" == instrument
    ]
    assert sum(row["quantity"] for row in placed) == 1000
    assert len(placed) == len({row["batch_id"] for row in done})


def test_cancel_before_it_is_sent(world: World, admin: User, user: User):
    instrument = world.fresh_instrument("1000.00")
    order = user.place("BUY", instrument, 10)
    user.call("DELETE", f"/orders/{order['id']}").expect(200, 202, 204)
    until(lambda: user.order(order["id"])["status"] == "CANCELLED", "cancelled")
    done = user.order(order["id"])
    check_order(done)
    assert done["filled_quantity"] == 0
    assert user.get("/funds")["held"] == "0.00"
    assert user.get("/funds")["available"] == "1000000.00"
    answer = user.call("DELETE", f"/orders/{order['id']}")
    assert answer.status in (200, 202, 204, 409, 422), answer
    world.trigger(admin)
    assert instrument.split(":")[1] not in [row["tradingsymbol"] for row in world.journal()]


def test_cancel_at_the_broker_and_after_the_end(world: World, admin: User, user: User):
    instrument = world.fresh_instrument("1000.00")
    order = user.place("BUY", instrument, 10, "LIMIT", price="900.00")
    world.trade(admin, (user, order["id"]), statuses={"WORKING"})
    user.call("DELETE", f"/orders/{order['id']}").expect(200, 202, 204)
    until(lambda: user.order(order["id"])["status"] == "CANCELLED", "cancelled", 30)
    assert user.get("/funds")["held"] == "0.00"
    filled = world.buy_shares(admin, user, instrument, 1)
    answer = user.call("DELETE", f"/orders/{filled['id']}")
    assert answer.status in (409, 422), answer
    answer.refused(answer.status)
    assert user.order(filled["id"]) == filled
    assert user.shares(instrument) == 1


def test_the_order_list_filters(world: World, admin: User, user: User):
    one, two = world.fresh_instrument(), world.fresh_instrument()
    filled = world.buy_shares(admin, user, one, 1)
    resting = user.place("BUY", two, 1, "LIMIT", price="900.00")
    until(lambda: user.order(resting["id"])["status"] != "ACCEPTED", "queued")
    resting = user.order(resting["id"])

    def ids(query: str) -> list[str]:
        return [row["id"] for row in user.pages(f"/orders?{query}")]

    assert ids(f"instrument={quote(one)}") == [filled["id"]]
    assert ids(f"instrument={quote(two)}") == [resting["id"]]
    assert ids("status=FILLED") == [filled["id"]]
    assert ids("status=REJECTED") == []
    assert resting["id"] in ids("status=QUEUED") + ids("status=WORKING")
    assert ids(f"status=FILLED&instrument={quote(two)}") == []
    later = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert ids(f"since={later}") == []
    assert set(ids("since=2020-01-01T00:00:00Z")) == {filled["id"], resting["id"]}
    assert set(ids(f"since={resting['created_at']}")) == {resting["id"]}
    user.call("DELETE", f"/orders/{resting['id']}").expect(200, 202, 204)


def test_portfolios(world: World, admin: User, user: User):
    default = user.get("/portfolio")
    check_portfolio(default)
    assert default["cash"] == "1000000.00"
    made = user.call("POST", "/portfolio", {"name": "Growth", "benchmark": "NSE:INFY"}).expect(201)
    check_portfolio(made)
    assert made["name"] == "Growth"
    listed = list(user.pages("/portfolios"))
    assert {row["id"] for row in listed} == {default["id"], made["id"]}
    for row in listed:
        check_portfolio(row)
    assert user.get("/portfolio")["id"] == default["id"]
    instrument = world.fresh_instrument()
    order = user.place("BUY", instrument, 3, portfolio_id=made["id"])
    assert order["portfolio_id"] == made["id"]
    world.trade(admin, (user, order["id"]), statuses={"FILLED"})
    inside = user.get(f"/portfolios/{made['id']}")
    check_portfolio(inside)
    assert [(row["instrument"], row["quantity"]) for row in inside["holdings"]] == [(instrument, 3)]
    assert [row for row in user.get("/portfolio")["holdings"] if row["instrument"] == instrument] == []
    for bad in ({}, {"name": ""}, {"name": "x" * 5000}, {"name": "X", "cash": "1"}):
        user.call("POST", "/portfolio", bad).refused(422)


def test_the_other_views(world: World, admin: User, user: User):
    instrument = world.fresh_instrument("1000.00")
    order = world.buy_shares(admin, user, instrument, 7)
    for path in ("/holdings", "/positions", "/pnl", "/exposure", "/trades", "/transactions", "/portfolio", "/funds"):
        no_floats(user.get(path), path)
    holdings = list(user.pages("/holdings"))
    assert [(row["instrument"], row["quantity"]) for row in holdings] == [(instrument, 7)]
    trades = list(user.pages("/trades"))
    assert [(row["instrument"], row["quantity"], row["side"]) for row in trades] == [(instrument, 7, "BUY")]
    assert trades[0]["price"] == "1000.00"
    assert trades[0]["order_id"] == order["id"]


def test_concurrent_orders_never_oversell(world: World, admin: User):
    from concurrent.futures import ThreadPoolExecutor

    user = world.new_user("20000.00")
    instrument = world.fresh_instrument("1000.00")
    world.buy_shares(admin, user, instrument, 10)
    body = {"instrument": instrument, "quantity": 1, "order_type": "LIMIT", "price": "1100.00"}
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: user.call("POST", "/sell", body), range(32)))
        buys = list(pool.map(lambda _: user.call("POST", "/buy", {**body, "price": "900.00"}), range(32)))
    assert sum(answer.status == 202 for answer in answers) == 10
    for answer in answers:
        if answer.status != 202:
            answer.refused(422, "insufficient_holdings")
    assert all(answer.status in (202, 422) for answer in buys)
    funds = user.get("/funds")
    assert Decimal(funds["available"]) >= 0
    assert Decimal(funds["cash"]) == Decimal(funds["available"]) + Decimal(funds["held"])
    placed = sum(answer.status == 202 for answer in buys)
    assert placed * 900 <= Decimal(funds["held"]) <= placed * 910
    for order in [answer.body for answer in (*answers, *buys) if answer.status == 202]:
        user.call("DELETE", f"/orders/{order['id']}").expect(200, 202, 204, 409)
    until(lambda: all(row["status"] in ENDED for row in user.pages("/orders")), "all cancelled", 30)
    assert user.get("/funds")["held"] == "0.00"
    check_ledger(user)
