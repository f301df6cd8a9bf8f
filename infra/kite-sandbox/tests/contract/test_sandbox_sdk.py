"""The unmodified kiteconnect client against a sandbox over a real socket: every method a broker client uses."""

import datetime as dt

import pytest
import requests
from kiteconnect import KiteConnect
from kiteconnect import exceptions as ex


def buy(kite, quantity=10, **terms):
    return kite.place_order(
        "regular",
        "NSE",
        "INFY",
        "BUY",
        quantity,
        "CNC",
        terms.pop("order_type", "MARKET"),
        **{"market_protection": -1, **terms},
    )


def statuses(kite, order_id):
    return [step["status"] for step in kite.order_history(order_id)]


def test_login_page_shows_the_token_and_it_works_once(server):
    page = server.call("GET", "/connect/login?api_key=sandbox")
    assert page.headers["content-type"].startswith("text/html")
    token = page.text.split('id="request_token">')[1].split("<")[0]
    kite = KiteConnect("sandbox", root=server.url)
    session = kite.generate_session(token, "sandbox-secret")
    assert session["user_id"] == "ZS0001"
    assert isinstance(session["login_time"], dt.datetime)
    with pytest.raises(ex.TokenException):
        kite.generate_session(token, "sandbox-secret")


def test_wrong_secret_is_refused(server, log_in):
    with pytest.raises(ex.TokenException):
        log_in(server, secret="guess")


def test_unknown_api_key_gets_no_token(server):
    assert server.call("GET", "/connect/login?api_key=nobody").status_code == 400


def test_renew_and_invalidate(server):
    kite = KiteConnect("sandbox", root=server.url)
    page = server.call("GET", "/connect/login?api_key=sandbox", headers={"Accept": "application/json"})
    session = kite.generate_session(page.json()["request_token"], "sandbox-secret")
    old = kite.access_token
    kite.renew_access_token(session["refresh_token"], "sandbox-secret")
    assert kite.access_token != old
    kite.profile()
    assert kite.invalidate_access_token() is True
    with pytest.raises(ex.TokenException) as refusal:
        kite.profile()
    assert refusal.value.code == 403


def test_session_expiry_hook_is_called(server):
    called = []
    kite = KiteConnect("sandbox", access_token="dead", root=server.url)
    kite.set_session_expiry_hook(lambda: called.append(True))
    with pytest.raises(ex.TokenException):
        kite.orders()
    assert called == [True]


def test_profile(kite):
    profile = kite.profile()
    assert profile["user_id"] == "ZS0001"
    assert set(profile["order_types"]) == {"MARKET", "LIMIT", "SL", "SL-M"}


def test_protected_market_order_fills_and_shows_as_limit(kite):
    order_id = buy(kite, tag="tag1")
    assert order_id.isdecimal()
    assert len(order_id) == 19
    [order] = kite.orders()
    assert (order["status"], order["filled_quantity"], order["average_price"]) == ("COMPLETE", 10, 1500)
    assert (order["order_type"], order["price"]) == ("LIMIT", 1530)
    assert order["tag"] == "tag1"
    assert order["tags"] == ["mktp", "mktp:2.00"]
    assert isinstance(order["order_timestamp"], dt.datetime)
    assert statuses(kite, order_id) == [
        "PUT ORDER REQ RECEIVED",
        "VALIDATION PENDING",
        "OPEN PENDING",
        "OPEN",
        "COMPLETE",
    ]
    [trade] = kite.order_trades(order_id)
    assert (trade["quantity"], trade["average_price"]) == (10, 1500)
    assert kite.trades() == [trade]


def test_limit_waits_is_modified_and_fills_at_the_last_price(server, kite):
    order_id = buy(kite, order_type="LIMIT", price=1400, market_protection=None, tag="T")
    [order] = kite.orders()
    assert (order["status"], order["tags"]) == ("OPEN", ["T"])
    assert kite.modify_order("regular", order_id, price=1450) == order_id
    server.post("/sandbox/prices", {"NSE:INFY": "1449.50"})
    [order] = kite.orders()
    assert (order["status"], order["average_price"], order["modified"]) == ("COMPLETE", 1449.5, True)
    assert statuses(kite, order_id)[4:8] == ["MODIFY VALIDATION PENDING", "MODIFY PENDING", "MODIFIED", "OPEN"]


def test_cancel_and_cancel_again(kite):
    order_id = buy(kite, order_type="LIMIT", price=1400, market_protection=None)
    assert kite.cancel_order("regular", order_id) == order_id
    assert statuses(kite, order_id)[-2:] == ["CANCEL PENDING", "CANCELLED"]
    with pytest.raises(ex.InputException) as refusal:
        kite.cancel_order("regular", order_id)
    assert refusal.value.code == 400
    [order] = kite.orders()
    assert order["cancelled_quantity"] == 10


def test_stop_loss_triggers(server, kite):
    order_id = kite.place_order(
        "regular",
        "NSE",
        "INFY",
        "BUY",
        5,
        "MIS",
        "SL",
        price=1560,
        trigger_price=1550,
    )
    assert kite.orders()[0]["status"] == "TRIGGER PENDING"
    server.post("/sandbox/prices", {"NSE:INFY": "1555.00"})
    assert statuses(kite, order_id)[-3:] == ["TRIGGER PENDING", "OPEN", "COMPLETE"]
    assert kite.order_trades(order_id)[0]["average_price"] == 1555


def test_stop_loss_market_triggers_into_its_band(server, kite):
    buy(kite)
    order_id = kite.place_order(
        "regular",
        "NSE",
        "INFY",
        "SELL",
        10,
        "CNC",
        "SL-M",
        trigger_price=1450,
        market_protection=3,
    )
    server.post("/sandbox/prices", {"NSE:INFY": "1440.00"})
    assert kite.order_trades(order_id)[0]["average_price"] == 1440


def test_immediate_or_cancel(kite):
    order_id = buy(kite, order_type="LIMIT", price=1400, validity="IOC", market_protection=None)
    assert kite.orders()[0]["status"] == "CANCELLED"
    assert kite.order_trades(order_id) == []


def test_after_market_order_goes_straight_on_when_always_open(kite):
    order_id = kite.place_order("amo", "NSE", "INFY", "BUY", 1, "CNC", "MARKET", market_protection=-1)
    assert statuses(kite, order_id)[1] == "AMO REQ RECEIVED"
    assert statuses(kite, order_id)[-1] == "COMPLETE"


def test_autoslice(servers, log_in):
    server = servers(SANDBOX_CASH="500000", SANDBOX_FREEZE_QUANTITY="100", SANDBOX_RATE_LIMITS="off")
    kite = log_in(server)
    terms = ("regular", "NSE", "INFY", "BUY")
    with pytest.raises(ex.InputException, match="freeze quantity 100"):
        kite.place_order(*terms, 250, "CNC", "MARKET", market_protection=-1)
    answer = kite.place_autoslice_order(*terms, 250, "CNC", "MARKET", market_protection=-1)
    assert [list(child) for child in answer["children"]] == [["order_id"]] * 3
    assert sum(order["filled_quantity"] for order in kite.orders()) == 250
    assert {order["parent_order_id"] for order in kite.orders()} == {answer["order_id"]}
    with pytest.raises(ex.InputException, match="above the freeze"):
        kite.place_autoslice_order(*terms, 50, "CNC", "MARKET", market_protection=-1)
    with pytest.raises(ex.InputException, match="10 slices"):
        kite.place_autoslice_order(*terms, 1001, "CNC", "MARKET", market_protection=-1)
    answer = kite.place_autoslice_order(*terms, 1000, "CNC", "LIMIT", price=400)
    assert [child["error"]["error_type"] for child in answer["children"] if "error" in child][-1] == "MarginException"


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ({"market_protection": None}, "market protection"),
        ({"market_protection": 0}, "market protection"),
        ({"market_protection": 101}, "market_protection"),
        ({"tag": "x" * 21}, "tag"),
        ({"tag": "not-alnum"}, "tag"),
        ({"order_type": "LIMIT", "price": 1500.03, "market_protection": None}, "Tick size"),
        ({"order_type": "LIMIT", "market_protection": None}, "Price is required"),
        ({"order_type": "LIMIT", "price": "NaN", "market_protection": None}, "price"),
        ({"order_type": "SL", "price": 1500, "market_protection": None}, "Trigger price"),
        ({"order_type": "SL", "price": 1500, "trigger_price": 1510, "market_protection": None}, "higher"),
        ({"order_type": "ICEBERG"}, "order_type"),
        ({"quantity": 0}, "quantity"),
        ({"quantity": 1.5}, "quantity"),
        ({"validity": "TTL"}, "validity"),
    ],
)
def test_bad_terms_are_refused_and_leave_no_order(kite, terms, message):
    with pytest.raises(ex.InputException, match=message) as refusal:
        buy(kite, **terms)
    assert refusal.value.code == 400
    assert kite.orders() == []


def test_unknown_symbol_and_index_are_refused(kite):
    for symbol in ("NOPE", "NIFTY 50"):
        with pytest.raises(ex.InputException, match="expired or does not exist"):
            kite.place_order("regular", "NSE", symbol, "BUY", 1, "CNC", "MARKET", market_protection=-1)
    with pytest.raises(ex.InputException, match="exchange"):
        kite.place_order("regular", "LSE", "INFY", "BUY", 1, "CNC", "MARKET", market_protection=-1)


def test_too_little_money_or_shares(kite):
    with pytest.raises(ex.GeneralException, match="Insufficient funds") as refusal:
        buy(kite, 10_000)
    assert refusal.value.code == 400
    with pytest.raises(ex.GeneralException, match="Insufficient holding") as refusal:
        kite.place_order("regular", "NSE", "INFY", "SELL", 1, "CNC", "MARKET", market_protection=-1)
    assert refusal.value.code == 400
    assert kite.orders() == []


def test_unknown_order_id(kite):
    for call in (kite.order_history, kite.order_trades, lambda one: kite.cancel_order("regular", one)):
        with pytest.raises(ex.DataException) as refusal:
            call("1")
        assert refusal.value.code == 404


def test_margins_move_with_fills_charges_and_open_orders(kite):
    buy(kite, 100)
    equity = kite.margins("equity")
    assert equity["available"]["cash"] == 10_000_000 - 150_000 - 178.11
    assert equity["net"] == equity["available"]["cash"]
    assert equity["available"]["opening_balance"] == 10_000_000
    buy(kite, 10, order_type="LIMIT", price=1000, market_protection=None)
    equity = kite.margins()["equity"]
    assert equity["available"]["cash"] == 10_000_000 - 150_000 - 178.11
    assert equity["utilised"]["debits"] == 10_000 + 11.87
    assert equity["net"] == equity["available"]["live_balance"] == pytest.approx(10_000_000 - 160_000 - 178.11 - 11.87)
    assert kite.margins("commodity")["net"] == 0


def test_holdings_and_positions_add_up(server, kite):
    server.post(
        "/sandbox/holdings",
        {"instrument": "NSE:INFY", "quantity": 50, "average_price": "1200.00", "ref": "seed"},
    )
    buy(kite, 10)
    kite.place_order("regular", "NSE", "INFY", "SELL", 25, "CNC", "MARKET", market_protection=-1)
    [holding] = kite.holdings()
    [net] = kite.positions()["net"]
    assert (holding["opening_quantity"], net["quantity"]) == (50, -15)
    assert (holding["quantity"], holding["used_quantity"], holding["average_price"]) == (35, 15, 1200)
    assert (net["buy_quantity"], net["sell_quantity"], net["pnl"]) == (10, 25, 0)
    with pytest.raises(ex.GeneralException):
        kite.place_order("regular", "NSE", "INFY", "SELL", 36, "CNC", "MARKET", market_protection=-1)
    assert kite.get_auction_instruments() == []


def test_convert_position(kite):
    kite.place_order("regular", "NSE", "INFY", "BUY", 10, "MIS", "MARKET", market_protection=-1)
    assert kite.convert_position("NSE", "INFY", "BUY", "day", 4, "MIS", "CNC") is True
    quantities = {position["product"]: position["quantity"] for position in kite.positions()["net"]}
    assert quantities == {"MIS": 6, "CNC": 4}
    with pytest.raises(ex.InputException):
        kite.convert_position("NSE", "INFY", "BUY", "day", 7, "MIS", "CNC")


def test_quotes(kite):
    names = ("NSE:INFY", "NSE:NIFTY 50", "NSE:NOPE")
    assert set(kite.ltp(*names)) == {"NSE:INFY", "NSE:NIFTY 50"}
    assert kite.ltp(list(names))["NSE:INFY"]["last_price"] == 1500
    assert kite.ohlc(*names)["NSE:INFY"]["ohlc"]["high"] >= 1500
    quote = kite.quote(*names)["NSE:INFY"]
    assert len(quote["depth"]["buy"]) == len(quote["depth"]["sell"]) == 5
    assert quote["depth"]["buy"][0]["price"] < 1500 <= quote["depth"]["sell"][0]["price"]
    assert isinstance(quote["timestamp"], dt.datetime)
    with pytest.raises(ex.InputException):
        kite.quote()


def test_instruments(kite):
    rows = kite.instruments()
    assert len(rows) == 51
    infy = next(row for row in rows if row["tradingsymbol"] == "INFY")
    assert (infy["tick_size"], infy["lot_size"], infy["segment"]) == (0.1, 1, "NSE")
    assert infy["instrument_token"] & 0xFF == 1
    assert next(row for row in rows if row["segment"] == "INDICES")["instrument_token"] & 0xFF == 9
    assert kite.instruments("NSE") == rows
    with pytest.raises(ex.InputException):
        kite.instruments("NOPE")


def test_historical_data(server, kite, log_in):
    server.post("/sandbox/clock", {"now": "2026-04-08T12:00:00+05:30"})
    kite = log_in(server)
    token = next(row["instrument_token"] for row in kite.instruments() if row["tradingsymbol"] == "INFY")
    days = kite.historical_data(token, "2026-03-02", "2026-03-06", "day")
    assert [candle["date"].date().day for candle in days] == [2, 3, 4, 5, 6]
    for candle in days:
        assert candle["low"] <= min(candle["open"], candle["close"])
        assert candle["high"] >= max(candle["open"], candle["close"])
    span = (dt.datetime(2026, 3, 2, 9), dt.datetime(2026, 3, 2, 16))  # noqa: DTZ001 - the client wants them naive
    hours = kite.historical_data(token, *span, "60minute", oi=True)
    assert len(hours) == 7
    assert hours[0]["oi"] == 0
    assert hours[0]["open"] == days[0]["open"]
    assert hours[-1]["close"] == days[0]["close"]
    assert max(candle["high"] for candle in hours) == days[0]["high"]
    today = kite.historical_data(token, "2026-04-08", "2026-04-08", "day")
    assert today[0]["close"] == 1500
    assert kite.historical_data(token, "2026-04-09", "2026-04-10", "day") == []
    with pytest.raises(ex.InputException, match="60 days"):
        kite.historical_data(token, "2025-01-01", "2026-01-01", "minute")
    with pytest.raises(ex.InputException):
        kite.historical_data(1, "2026-03-02", "2026-03-06", "day")


def test_order_and_basket_margins_and_charges(kite):
    order = {
        "exchange": "NSE",
        "tradingsymbol": "INFY",
        "transaction_type": "BUY",
        "variety": "regular",
        "product": "CNC",
        "order_type": "LIMIT",
        "quantity": 100,
        "price": 1500,
        "trigger_price": 0,
    }
    [margin] = kite.order_margins([order])
    assert margin["total"] == 150_000
    assert margin["charges"]["total"] == pytest.approx(178.1109)
    basket = kite.basket_order_margins([order, {**order, "quantity": 10}])
    assert basket["final"]["total"] == 165_000
    assert len(basket["orders"]) == 2
    assert kite.basket_order_margins([order], mode="compact")["initial"]["total"] == 150_000
    note = {**order, "order_id": "1", "average_price": 1600.0, "transaction_type": "SELL"}
    [charged] = kite.get_virtual_contract_note([note])
    assert charged["charges"]["total"] == pytest.approx(165.98496)
    with pytest.raises(ex.InputException):
        kite.order_margins([])


def test_gtt_single_fires_and_two_leg_is_managed(server, kite):
    leg = {"transaction_type": "BUY", "quantity": 3, "order_type": "LIMIT", "product": "CNC", "price": 1410}
    trigger = kite.place_gtt(kite.GTT_TYPE_SINGLE, "INFY", "NSE", [1400], 1500, [leg])["trigger_id"]
    kite.modify_gtt(trigger, kite.GTT_TYPE_SINGLE, "INFY", "NSE", [1405], 1500, [leg])
    assert kite.get_gtt(trigger)["condition"]["trigger_values"] == [1405]
    sells = [{**leg, "transaction_type": "SELL", "price": 1300}, {**leg, "transaction_type": "SELL", "price": 1700}]
    other = kite.place_gtt(kite.GTT_TYPE_OCO, "INFY", "NSE", [1300, 1700], 1500, sells)["trigger_id"]
    server.post("/sandbox/prices", {"NSE:INFY": "1404.00"})
    assert [gtt["status"] for gtt in kite.get_gtts()] == ["triggered", "active"]
    [order] = kite.orders()
    assert (order["status"], order["average_price"]) == ("COMPLETE", 1404)
    assert kite.get_gtt(trigger)["orders"][0]["result"]["order_result"]["order_id"] == order["order_id"]
    assert kite.delete_gtt(other)["trigger_id"] == other
    with pytest.raises(ex.DataException):
        kite.get_gtt(other)


def test_a_refused_gtt_order_says_why(server, kite):
    sell = {"transaction_type": "SELL", "quantity": 3, "order_type": "LIMIT", "product": "CNC", "price": 1600}
    trigger = kite.place_gtt(kite.GTT_TYPE_SINGLE, "INFY", "NSE", [1600], 1500, [sell])["trigger_id"]
    server.post("/sandbox/prices", {"NSE:INFY": "1601.00"})
    result = kite.get_gtt(trigger)["orders"][0]["result"]
    assert result["order_result"]["status"] == "failed"
    assert "holding" in result["order_result"]["rejection_reason"]


def test_trigger_range_and_mutual_funds(kite):
    assert kite.trigger_range("BUY", "NSE:INFY")["NSE:INFY"]["upper"] == 1485
    assert kite.mf_orders() == kite.mf_sips() == kite.mf_holdings() == []
    assert kite.mf_instruments() == []
    with pytest.raises(ex.PermissionException):
        kite.place_mf_order("INF", "BUY", amount=100)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/orders/", 404),
        ("PATCH", "/orders", 405),
        ("POST", "/quote", 405),
        ("GET", "/orders", 403),
        ("POST", "/session/token", 400),
    ],
)
def test_every_refusal_wears_the_envelope(server, method, path, status):
    answer = server.call(method, path, allow_redirects=False)
    assert answer.status_code == status
    body = answer.json()
    assert set(body) == {"status", "message", "data", "error_type"}
    assert body["status"] == "error"
    assert body["data"] is None
    assert body["error_type"].endswith("Exception")


@pytest.mark.parametrize("body", [b"[1", b'{"a": NaN}', b"\xff", b"[" * 100_000, b"{}", b"[1]", b'[{"exchange": 1}]'])
def test_hostile_json_is_a_400(server, kite, body):
    headers = {"Authorization": f"token sandbox:{kite.access_token}", "Content-Type": "application/json"}
    answer = server.call("POST", "/margins/orders", data=body, headers=headers)
    assert (answer.status_code, answer.json()["error_type"]) == (400, "InputException")


@pytest.mark.parametrize("body", [b"%ff%fe=1", b"quantity=" + b"9" * 5000, b"a" * 2_000_000, b"=&=&;"])
def test_hostile_forms_are_refused(server, kite, body):
    headers = {
        "Authorization": f"token sandbox:{kite.access_token}",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    assert server.call("POST", "/orders/regular", data=body, headers=headers).status_code in {400, 413}


def test_two_accounts_do_not_see_each_other(servers, log_in):
    server = servers(SANDBOX_ACCOUNTS="one:s1:AA0001,two:s2:AA0002", SANDBOX_CASH="100000", SANDBOX_RATE_LIMITS="off")
    one, two = log_in(server, "one", "s1"), log_in(server, "two", "s2")
    order_id = buy(one, 1)
    assert two.orders() == []
    assert two.positions()["net"] == []
    with pytest.raises(ex.DataException):
        two.order_history(order_id)
    with pytest.raises(ex.TokenException):
        KiteConnect("two", access_token=one.access_token, root=server.url).orders()


def test_a_path_in_front_is_not_needed(server):
    assert requests.get(server.url, timeout=5).json()["data"]["speaks"] == "Kite Connect v3"


def test_the_clock_kills_tokens_at_six_and_ends_days(server, kite, log_in):
    server.post("/sandbox/clock", {"now": "2026-04-06T10:00:00+05:30"})
    kite = log_in(server)
    server.post("/sandbox/prices", {"NSE:INFY": "1500"})
    buy(kite, 10)
    kite.place_order("regular", "NSE", "INFY", "BUY", 5, "MIS", "MARKET", market_protection=-1)
    server.post("/sandbox/clock", {"now": "2026-04-07T05:59:00+05:30"})
    assert kite.orders() == kite.trades() == []
    assert kite.positions() == {"net": [], "day": []}
    [holding] = kite.holdings()
    assert (holding["quantity"], holding["t1_quantity"], holding["opening_quantity"]) == (0, 10, 10)
    server.post("/sandbox/clock", {"now": "2026-04-07T06:00:00+05:30"})
    with pytest.raises(ex.TokenException):
        kite.orders()
    server.post("/sandbox/clock", {"now": "2026-04-08T10:00:00+05:30"})
    [holding] = log_in(server).holdings()
    assert (holding["quantity"], holding["t1_quantity"]) == (10, 0)
    events = [item["event"] for item in server.journal()]
    assert events == ["order_accepted", "fill"] * 3
    assert server.journal()[-1]["at"].startswith("2026-04-06T18:29:59")
    server.post("/sandbox/clock", {"now": None})


@pytest.mark.parametrize("now", ["yesterday", "2026-04-06T10:00:00", 5, ["x"]])
def test_a_clock_needs_an_instant(server, now):
    assert server.call("POST", "/sandbox/clock", json={"now": now}).status_code == 400


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/sandbox/prices", {"NSE:NOPE": "1"}),
        ("/sandbox/prices", {"NSE:INFY": "0"}),
        ("/sandbox/prices", {"NSE:INFY": "1.001"}),
        ("/sandbox/prices", {"NSE:INFY": True}),
        ("/sandbox/prices", ["NSE:INFY"]),
        ("/sandbox/funds", {"amount": "1"}),
        ("/sandbox/funds", {"amount": "x", "ref": "r"}),
        ("/sandbox/funds", {"amount": "1", "ref": "r", "api_key": "nobody"}),
        ("/sandbox/holdings", {"instrument": "NSE:INFY", "quantity": 0, "average_price": "1", "ref": "r"}),
        ("/sandbox/holdings", {"instrument": "NSE:INFY", "quantity": -1, "average_price": "1", "ref": "r"}),
        ("/sandbox/holdings", {"instrument": "NSE:NIFTY 50", "quantity": 1, "average_price": "1", "ref": "r"}),
    ],
)
def test_bad_sandbox_calls_are_refused(server, path, body):
    answer = server.call("POST", path, json=body)
    assert (answer.status_code, answer.json()["status"]) == (400, "error")


def test_funds_move_once_per_ref(server, kite):
    for _ in range(2):
        server.post("/sandbox/funds", {"amount": "100.25", "ref": "a"})
    server.post("/sandbox/funds", {"amount": "-50.00", "ref": "b"})
    assert kite.margins("equity")["available"]["cash"] == 10_000_050.25


def test_journal_items_have_the_contracts_fields(server, kite):
    order_id = buy(kite, 10, tag="T9")
    accepted, fill = server.journal()
    assert {**fill, "at": None, "trade_id": None} == {
        "seq": 2, "at": None, "event": "fill", "order_id": order_id, "tag": "T9", "exchange": "NSE",
        "tradingsymbol": "INFY", "transaction_type": "BUY", "product": "CNC", "quantity": 10, "price": "1500.00",
        "trade_id": None,
    }  # fmt: skip
    assert fill["trade_id"] == kite.trades()[0]["trade_id"]
    assert (accepted["seq"], accepted["trade_id"], accepted["at"][-1]) == (1, None, "Z")
    assert server.call("GET", "/sandbox/journal?after=1").json()["items"] == [fill]


def test_health(server):
    assert server.call("GET", "/health/live").json() == {"status": "ok"}
    assert server.call("GET", "/health/ready").json()["journal"] == "ok"
