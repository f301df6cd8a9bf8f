"""Keys and types of every answer against Kite's, retyped here as small literals."""

import json
from datetime import UTC, datetime

import pytest

from kite_sandbox.edge.views import number, position_view
from kite_sandbox.engine.market import Quote
from kite_sandbox.engine.model import Position, Product
from kite_sandbox.instruments import shipped_instruments

NUM, TEXT, MAYBE = "number", "text", "text or null"

ORDER = {
    "placed_by": TEXT, "order_id": TEXT, "exchange_order_id": MAYBE, "parent_order_id": MAYBE, "status": TEXT,
    "status_message": MAYBE, "status_message_raw": MAYBE, "order_timestamp": TEXT, "exchange_update_timestamp": MAYBE,
    "exchange_timestamp": MAYBE, "variety": TEXT, "modified": bool, "exchange": TEXT, "tradingsymbol": TEXT,
    "instrument_token": int, "order_type": TEXT, "transaction_type": TEXT, "validity": TEXT, "product": TEXT,
    "quantity": int, "disclosed_quantity": int, "price": NUM, "trigger_price": NUM, "average_price": NUM,
    "filled_quantity": int, "pending_quantity": int, "cancelled_quantity": int, "market_protection": NUM,
    "meta": {}, "tag": MAYBE, "guid": TEXT,
}  # fmt: skip
TRADE = {
    "trade_id": TEXT, "order_id": TEXT, "exchange": TEXT, "tradingsymbol": TEXT, "instrument_token": int,
    "product": TEXT, "average_price": NUM, "quantity": int, "exchange_order_id": TEXT, "transaction_type": TEXT,
    "fill_timestamp": TEXT, "order_timestamp": TEXT, "exchange_timestamp": TEXT,
}  # fmt: skip
POSITION = {
    **dict.fromkeys(("tradingsymbol", "exchange", "product"), TEXT),
    **dict.fromkeys(
        (
            "instrument_token", "quantity", "overnight_quantity", "multiplier", "buy_quantity", "sell_quantity",
            "day_buy_quantity", "day_sell_quantity",
        ),
        int,
    ),
    **dict.fromkeys(
        (
            "average_price", "close_price", "last_price", "value", "pnl", "m2m", "unrealised", "realised", "buy_price",
            "buy_value", "buy_m2m", "sell_price", "sell_value", "sell_m2m", "day_buy_price", "day_buy_value",
            "day_sell_price", "day_sell_value",
        ),
        NUM,
    ),
}  # fmt: skip
HOLDING = {
    "tradingsymbol": TEXT, "exchange": TEXT, "instrument_token": int, "isin": TEXT, "product": TEXT, "price": NUM,
    "quantity": int, "used_quantity": int, "t1_quantity": int, "realised_quantity": int, "authorised_quantity": int,
    "authorised_date": TEXT, "authorisation": {}, "opening_quantity": int, "short_quantity": int,
    "collateral_quantity": int, "collateral_type": TEXT, "discrepancy": bool, "average_price": NUM, "last_price": NUM,
    "close_price": NUM, "pnl": NUM, "day_change": NUM, "day_change_percentage": NUM,
    "mtf": dict.fromkeys(("quantity", "used_quantity", "average_price", "value", "initial_margin"), NUM),
}  # fmt: skip
SEGMENT = {
    "enabled": bool,
    "net": NUM,
    "available": dict.fromkeys(
        ("adhoc_margin", "cash", "opening_balance", "live_balance", "collateral", "intraday_payin"), NUM,
    ),
    "utilised": dict.fromkeys(
        (
            "debits", "exposure", "m2m_realised", "m2m_unrealised", "option_premium", "payout", "span",
            "holding_sales", "turnover", "liquid_collateral", "stock_collateral", "delivery",
        ),
        NUM,
    ),
}  # fmt: skip
LEVEL = {"price": NUM, "quantity": int, "orders": int}
OHLC = dict.fromkeys(("open", "high", "low", "close"), NUM)
QUOTE = {
    "instrument_token": int, "timestamp": TEXT, "last_trade_time": TEXT, "last_price": NUM, "last_quantity": int,
    "buy_quantity": int, "sell_quantity": int, "volume": int, "average_price": NUM, "oi": NUM, "oi_day_high": NUM,
    "oi_day_low": NUM, "net_change": NUM, "lower_circuit_limit": NUM, "upper_circuit_limit": NUM, "ohlc": OHLC,
    "depth": {"buy": [LEVEL], "sell": [LEVEL]},
}  # fmt: skip
PROFILE = {
    "user_id": TEXT, "user_type": TEXT, "email": TEXT, "user_name": TEXT, "user_shortname": TEXT, "broker": TEXT,
    "exchanges": [TEXT], "products": [TEXT], "order_types": [TEXT], "avatar_url": MAYBE,
    "meta": {"demat_consent": TEXT},
}  # fmt: skip
FULL_PROFILE = {
    **PROFILE, "twofa_type": TEXT, "phone": TEXT, "bank_accounts": [{"name": TEXT, "branch": TEXT, "account": TEXT}],
    "dp_ids": [TEXT], "pan": TEXT, "tags": [], "password_timestamp": TEXT, "twofa_timestamp": TEXT,
    "meta": {"poa": TEXT, "silo": TEXT, "account_blocks": []},
}  # fmt: skip
CHARGES = {
    "transaction_tax": NUM, "transaction_tax_type": TEXT, "exchange_turnover_charge": NUM, "sebi_turnover_charge": NUM,
    "brokerage": NUM, "stamp_duty": NUM, "gst": {"igst": NUM, "cgst": NUM, "sgst": NUM, "total": NUM}, "total": NUM,
}  # fmt: skip
MARGIN = {
    "type": TEXT, "tradingsymbol": TEXT, "exchange": TEXT, "span": NUM, "exposure": NUM, "option_premium": NUM,
    "additional": NUM, "bo": NUM, "cash": NUM, "var": NUM, "pnl": {"realised": NUM, "unrealised": NUM},
    "leverage": NUM, "charges": CHARGES, "total": NUM,
}  # fmt: skip
BASKET = {"initial": MARGIN, "final": MARGIN, "orders": [MARGIN], "charges": CHARGES}
NOTE = {
    "transaction_type": TEXT, "tradingsymbol": TEXT, "exchange": TEXT, "variety": TEXT, "product": TEXT,
    "order_type": TEXT, "quantity": int, "price": NUM, "charges": CHARGES,
}  # fmt: skip
GTT_LEG = {
    "exchange": TEXT, "tradingsymbol": TEXT, "product": TEXT, "order_type": TEXT, "transaction_type": TEXT,
    "quantity": int, "price": NUM,
}  # fmt: skip
GTT = {
    "id": int, "user_id": TEXT, "parent_trigger": MAYBE, "type": TEXT, "created_at": TEXT, "updated_at": TEXT,
    "expires_at": TEXT, "status": TEXT, "meta": {},
    "condition": {
        "exchange": TEXT, "last_price": NUM, "tradingsymbol": TEXT, "trigger_values": [NUM], "instrument_token": int,
    },
    "orders": [
        {
            **GTT_LEG,
            "result": {
                **GTT_LEG, "account_id": TEXT, "validity": TEXT, "meta": TEXT, "timestamp": TEXT, "triggered_at": NUM,
                "order_result": {"status": TEXT, "order_id": TEXT, "rejection_reason": TEXT},
            },
        },
    ],
}  # fmt: skip


def check(value, shape, where="$"):
    if isinstance(shape, dict):
        assert isinstance(value, dict), where
        missing = shape.keys() - value.keys()
        assert not missing, f"{where}: {missing}"
        for name, inner in shape.items():
            check(value[name], inner, f"{where}.{name}")
    elif isinstance(shape, list):
        assert isinstance(value, list), where
        assert value or not shape, where
        for item in value:
            check(item, shape[0], f"{where}[]")
    elif shape is NUM:
        assert type(value) in {int, float}, where
    elif shape is TEXT:
        assert type(value) is str, where
    elif shape is MAYBE:
        assert value is None or type(value) is str, where
    else:
        assert type(value) is shape, where


@pytest.fixture
def get(server, kite):
    def call(path, method="GET", **arguments):
        headers = {"Authorization": f"token sandbox:{kite.access_token}"}
        answer = server.call(method, path, headers=headers, **arguments)
        body = json.loads(answer.content)
        assert body["status"] == "success"
        return body["data"]

    return call


def test_every_shape_is_kites(server, kite, get):
    server.post(
        "/sandbox/holdings",
        {"instrument": "NSE:SBIN", "quantity": 10, "average_price": "700.10", "ref": "shape"},
    )
    filled = kite.place_order("regular", "NSE", "INFY", "BUY", 3, "CNC", "MARKET", market_protection=-1, tag="T")
    kite.place_order("regular", "NSE", "INFY", "BUY", 3, "MIS", "LIMIT", price=1400)
    leg = {"transaction_type": "BUY", "quantity": 3, "order_type": "LIMIT", "product": "CNC", "price": 1500}
    kite.place_gtt(kite.GTT_TYPE_SINGLE, "INFY", "NSE", [1510], 1500, [leg])
    server.post("/sandbox/prices", {"NSE:INFY": "1510.10"})
    order = {
        "exchange": "NSE", "tradingsymbol": "INFY", "transaction_type": "BUY", "variety": "regular",
        "product": "CNC", "order_type": "MARKET", "quantity": 1, "price": 0,
    }  # fmt: skip
    check(get("/orders"), [ORDER])
    check(get(f"/orders/{filled}"), [ORDER])
    check(get("/trades"), [TRADE])
    check(get(f"/orders/{filled}/trades"), [TRADE])
    check(get("/portfolio/positions"), {"net": [POSITION], "day": [POSITION]})
    check(get("/portfolio/holdings"), [HOLDING])
    check(get("/user/margins"), {"equity": SEGMENT, "commodity": SEGMENT})
    check(get("/user/margins/equity"), SEGMENT)
    check(get("/user/profile"), PROFILE)
    check(get("/user/profile/full"), FULL_PROFILE)
    check(get("/quote?i=NSE:INFY"), {"NSE:INFY": QUOTE})
    check(get("/quote/ohlc?i=NSE:INFY"), {"NSE:INFY": {"instrument_token": int, "last_price": NUM, "ohlc": OHLC}})
    check(get("/quote/ltp?i=NSE:INFY"), {"NSE:INFY": {"instrument_token": int, "last_price": NUM}})
    check(get("/gtt/triggers"), [GTT])
    check(get("/margins/orders", "POST", json=[order]), [MARGIN])
    check(get("/margins/basket?consider_positions=True", "POST", json=[order]), BASKET)
    check(get("/charges/orders", "POST", json=[{**order, "average_price": 1510.1}]), [NOTE])
    check(get("/portfolio/holdings/authorise", "POST"), {"request_id": TEXT})
    session = server.call("GET", "/instruments/NSE", headers={"Authorization": f"token sandbox:{kite.access_token}"})
    assert session.headers["content-type"].startswith("text/csv")
    assert session.text.splitlines()[0] == (
        "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,"
        "instrument_type,segment,exchange"
    )


def test_history_lines_have_the_shape_of_the_book(server, kite, get):
    server.fault("place_order", "reject")
    rejected = kite.place_order("regular", "NSE", "INFY", "BUY", 3, "CNC", "LIMIT", price=1400)
    first, *_, last = get(f"/orders/{rejected}")
    assert (first["exchange_order_id"], first["exchange_timestamp"]) == (None, None)
    assert last["status"] == "REJECTED"
    check([first, last], [ORDER])


@pytest.mark.parametrize(("paise", "shown"), [(150_000, 1500), (152_340, 1523.4), (5, 0.05), (-5, -0.05), (0, 0)])
def test_money_is_an_exact_json_number(paise, shown):
    assert number(paise) == shown
    assert json.dumps(number(paise)) == json.dumps(shown)


def quote_of(last_paise, close_paise):
    instrument = next(item for item in shipped_instruments() if item.symbol == "INFY")
    return Quote(
        instrument, last_paise, last_paise, last_paise, last_paise, close_paise, datetime(2026, 4, 6, tzinfo=UTC)
    )


def test_carried_position_has_the_published_figures():
    """Kite's own example: 3 carried from a close of 23,232, bought at a value of 69,171, one more bought, four sold."""
    quote = quote_of(2_335_500, 2_323_200)
    position = Position(
        quote.instrument, Product.NRML, overnight=3, overnight_value_paise=6_917_100,
        buys=1, buy_value_paise=2_338_800, sells=4, sell_value_paise=9_336_000,
    )  # fmt: skip
    net = position_view(position, quote, is_day=False)
    assert (net["quantity"], net["average_price"], net["value"], net["pnl"], net["m2m"]) == (0, 0, 801, 801, 276)
    assert (net["buy_value"], net["buy_m2m"], net["sell_m2m"], net["buy_price"]) == (92_559, 93_084, 93_360, 23_139.75)
    day = position_view(position, quote, is_day=True)
    assert (day["quantity"], day["average_price"], day["value"], day["pnl"]) == (-3, 23_340, 69_972, -93)
