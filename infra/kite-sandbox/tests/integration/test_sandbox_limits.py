"""Kite's rate limits on the wire, and the request log to check clients by."""

import time

import pytest
from kiteconnect import exceptions as ex


def test_the_eleventh_order_of_a_second_is_refused_and_the_window_clears(servers, log_in):
    server = servers(SANDBOX_CASH="1000000")
    kite = log_in(server)
    codes = []
    for _ in range(14):
        try:
            kite.place_order("regular", "NSE", "INFY", "BUY", 1, "CNC", "LIMIT", price=1000)
        except ex.NetworkException as error:
            codes.append(error.code)
    refused = len(codes)
    assert set(codes) == {429}
    assert 1 <= refused <= 4
    assert len(server.journal()) == 14 - refused
    time.sleep(1.1)
    kite.place_order("regular", "NSE", "INFY", "BUY", 1, "CNC", "LIMIT", price=1000)
    log = server.call("GET", "/sandbox/log").json()["items"]
    placed = [item["status"] for item in log if item["route"] == "place_order"]
    assert placed.count(429) == refused
    assert placed.count(200) == 15 - refused
    assert set(log[0]) == {"at", "method", "route", "path", "status"}


def test_quotes_and_candles_have_limits_of_their_own(servers, log_in):
    kite = log_in(servers())
    kite.ltp("NSE:INFY")
    with pytest.raises(ex.NetworkException):
        kite.ohlc("NSE:INFY")
    kite.orders()
    token = next(row["instrument_token"] for row in kite.instruments() if row["tradingsymbol"] == "INFY")
    for _ in range(3):
        kite.historical_data(token, "2026-03-02", "2026-03-03", "day")
    with pytest.raises(ex.NetworkException):
        kite.historical_data(token, "2026-03-02", "2026-03-03", "day")


def test_twenty_five_modifications(servers, log_in):
    kite = log_in(servers(SANDBOX_CASH="1000000", SANDBOX_RATE_LIMITS="off"))
    order_id = kite.place_order("regular", "NSE", "INFY", "BUY", 1, "CNC", "LIMIT", price=1000)
    for step in range(25):
        kite.modify_order("regular", order_id, price=1001 + step)
    with pytest.raises(ex.InputException, match="modifications"):
        kite.modify_order("regular", order_id, price=1100)


def test_relaxed_protection_takes_bare_market_orders(servers, log_in):
    kite = log_in(servers(SANDBOX_CASH="1000000", SANDBOX_MARKET_PROTECTION="relaxed"))
    kite.place_order("regular", "NSE", "INFY", "BUY", 1, "CNC", "MARKET")
    [order] = kite.orders()
    assert (order["status"], order["order_type"], order["price"], order["tags"]) == ("COMPLETE", "MARKET", 0, [])


def test_a_delayed_fill(servers, log_in):
    kite = log_in(servers(SANDBOX_CASH="1000000", SANDBOX_FILL_DELAY_S="0.5"))
    kite.place_order("regular", "NSE", "INFY", "BUY", 1, "CNC", "MARKET", market_protection=-1)
    assert kite.orders()[0]["status"] == "OPEN"
    time.sleep(0.8)
    assert kite.orders()[0]["status"] == "COMPLETE"
