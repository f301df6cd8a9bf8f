"""Ticker packets, read by the client library's own parser."""

from datetime import UTC, datetime

import pytest
from kiteconnect import KiteTicker

from kite_sandbox.engine.market import Quote
from kite_sandbox.instruments import shipped_instruments
from kite_sandbox.ticker_packets import HEARTBEAT, message, packet

AT = datetime(2026, 4, 6, 5, 0, tzinfo=UTC)


def quote(symbol):
    instrument = next(item for item in shipped_instruments() if item.symbol == symbol)
    return Quote(instrument, 151_120, 150_000, 152_000, 149_050, 148_000, AT, 1_000, 150_555_000, 7, AT)


@pytest.fixture
def ticker():
    return KiteTicker("key", "token")


def test_lengths():
    assert [len(packet(quote("INFY"), mode)) for mode in ("ltp", "quote", "full")] == [8, 44, 184]
    assert [len(packet(quote("NIFTY 50"), mode)) for mode in ("ltp", "quote", "full")] == [8, 28, 32]


def test_several_packets_in_a_message(ticker):
    frame = message([packet(quote("INFY"), "ltp"), packet(quote("TCS"), "quote"), packet(quote("NIFTY 50"), "full")])
    assert [tick["mode"] for tick in ticker._parse_binary(frame)] == ["ltp", "quote", "full"]


def test_full_mode(ticker):
    [tick] = ticker._parse_binary(message([packet(quote("INFY"), "full")]))
    assert tick["instrument_token"] == quote("INFY").instrument.token
    assert tick["tradable"] is True
    assert (tick["last_price"], tick["last_traded_quantity"], tick["volume_traded"]) == (1511.2, 7, 1_000)
    assert tick["average_traded_price"] == 1505.55
    assert tick["ohlc"] == {"open": 1500.0, "high": 1520.0, "low": 1490.5, "close": 1480.0}
    assert tick["change"] == pytest.approx(100 * 31.2 / 1480)
    assert tick["exchange_timestamp"] == datetime.fromtimestamp(AT.timestamp())  # noqa: DTZ006 - the parser is naive
    assert tick["last_trade_time"] == tick["exchange_timestamp"]
    assert [level["price"] for level in tick["depth"]["buy"]] == [1511.1, 1511.0, 1510.9, 1510.8, 1510.7]
    assert [level["price"] for level in tick["depth"]["sell"]] == [1511.2, 1511.3, 1511.4, 1511.5, 1511.6]
    assert all(level["quantity"] > 0 and level["orders"] > 0 for level in tick["depth"]["buy"])
    assert tick["total_buy_quantity"] == sum(level["quantity"] for level in tick["depth"]["buy"])


def test_index(ticker):
    [tick] = ticker._parse_binary(message([packet(quote("NIFTY 50"), "full")]))
    assert tick["tradable"] is False
    assert tick["ohlc"] == {"high": 1520.0, "low": 1490.5, "open": 1500.0, "close": 1480.0}
    assert tick["exchange_timestamp"] is not None


def test_a_falling_index_has_a_negative_change():
    falling = quote("NIFTY 50")
    falling.close_paise = 160_000
    assert int.from_bytes(packet(falling, "quote")[24:28], "big", signed=True) == 151_120 - 160_000


def test_heartbeat_is_one_byte(ticker):
    assert len(HEARTBEAT) == 1
    assert ticker._parse_binary(HEARTBEAT) == []
