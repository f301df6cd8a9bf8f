"""The sandbox broker: Kite's refusals through the plain SDK, its own routes, and the journal as the suite's oracle."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
import requests
from contract_client import User, World, until
from kiteconnect import KiteConnect
from kiteconnect import exceptions as kite_errors


@pytest.fixture(scope="module")
def kite(world: World, home: Path):
    """The unmodified client, signed in beside the platform's own session; it places nothing that is accepted."""
    secrets = json.loads((home / "secrets.json").read_text())
    client = KiteConnect(secrets["sandbox_api_key"], root=world.sandbox)
    page = world.session.get(
        f"{world.sandbox}/connect/login?api_key={secrets['sandbox_api_key']}",
        headers={"Accept": "application/json"},
        timeout=10,
    )
    session = client.generate_session(page.json()["request_token"], secrets["sandbox_api_secret"])
    client.set_access_token(session["access_token"])
    yield client
    client.reqsession.close()


def place(kite: KiteConnect, **change):
    terms = {
        "variety": "regular",
        "exchange": "NSE",
        "tradingsymbol": "INFY",
        "transaction_type": "BUY",
        "quantity": 1,
        "product": "CNC",
        "order_type": "LIMIT",
        "price": 1000.0,
        **change,
    }
    return kite.place_order(**{name: value for name, value in terms.items() if value is not None})


def spaced(call):
    """Past a 429 that the platform's own orders in the same second may cause."""

    def try_it():
        try:
            return [call()]
        except kite_errors.NetworkException as error:
            if error.code != 429:
                raise
            return []

    return until(try_it, "not limited", 10)[0]


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"order_type": "MARKET", "price": None}, kite_errors.InputException, "protection"),
        (
            {"order_type": "SL-M", "price": None, "trigger_price": 1600.0, "market_protection": 0},
            kite_errors.InputException,
            "protection",
        ),
        ({"tag": "x" * 21}, kite_errors.InputException, "tag"),
        ({"tag": "not-alphanumeric!"}, kite_errors.InputException, "tag"),
        ({"price": 1000.03}, kite_errors.InputException, "tick"),
        ({"tradingsymbol": "NOSUCH"}, kite_errors.InputException, ""),
        ({"quantity": 0}, kite_errors.InputException, ""),
        ({"quantity": -1}, kite_errors.InputException, ""),
        ({"exchange": "XYZ"}, kite_errors.InputException, ""),
        ({"order_type": "LIMIT", "price": None}, kite_errors.InputException, ""),
        ({"transaction_type": "SELL", "quantity": 900_000}, kite_errors.GeneralException, ""),
        ({"quantity": 900_000, "price": 1600.0}, kite_errors.GeneralException, ""),
    ],
    ids=str,
)
def test_kite_refuses(world: World, kite: KiteConnect, change, error, says):
    before = len(world.journal())

    def refusal():
        with pytest.raises(kite_errors.KiteException) as refused:
            place(kite, **change)
        if refused.value.code == 429:
            raise refused.value
        return refused.value

    raised = spaced(refusal)
    assert type(raised) is error, (raised, raised.code)
    assert raised.code == 400
    assert says in str(raised).lower()
    assert [row for row in world.journal()[before:] if row["event"] == "order_accepted"] == []


def test_kites_reads_and_absent_orders(kite: KiteConnect):
    assert spaced(kite.profile)["user_id"]
    assert spaced(kite.margins)["equity"]["available"]["cash"] is not None
    orders = spaced(kite.orders)
    assert {"order_id", "status", "tag", "filled_quantity", "tradingsymbol"} <= set(orders[0]) if orders else True
    assert set(spaced(kite.positions)) == {"net", "day"}
    spaced(kite.trades)
    spaced(kite.holdings)
    assert any(row["tradingsymbol"] == "INFY" for row in spaced(lambda: kite.instruments("NSE")))
    for call in (
        lambda: kite.cancel_order("regular", "1234567890123456789"),
        lambda: kite.modify_order("regular", "1234567890123456789", quantity=2),
    ):
        with pytest.raises(kite_errors.KiteException) as refused:
            spaced(call)
        assert refused.value.code in (400, 404)


def test_a_finished_order_is_not_cancelled(world: World, admin: User, user: User, kite: KiteConnect):
    order = world.buy_shares(admin, user, "NSE:INFY", 1)
    (block,) = world.batch_of(admin, order)["blocks"]
    with pytest.raises(kite_errors.InputException) as refused:
        spaced(lambda: kite.cancel_order("regular", block["broker_order_ids"][0]))
    assert refused.value.code == 400


def test_a_bad_token_is_a_token_exception(world: World, kite: KiteConnect):
    stranger = KiteConnect(kite.api_key, access_token="nobody", root=world.sandbox)
    try:
        for call in (stranger.orders, stranger.margins, lambda: place(stranger)):
            with pytest.raises(kite_errors.TokenException) as refused:
                call()
            assert refused.value.code == 403
        with pytest.raises(kite_errors.KiteException):
            stranger.generate_session("nonsense", "wrong")
    finally:
        stranger.reqsession.close()


def test_every_refusal_wears_the_envelope(world: World, kite: KiteConnect):
    for method, path in (
        ("GET", "/nowhere"),
        ("PATCH", "/orders"),
        ("DELETE", "/sandbox/journal"),
        ("POST", "/session/token"),
        ("GET", "/orders"),
    ):
        answer = world.session.request(method, world.sandbox + path, timeout=10, allow_redirects=False)
        assert 400 <= answer.status_code < 500, (method, path, answer.status_code)
        body = answer.json()
        assert body["status"] == "error"
        assert body["data"] is None
        assert body["message"]
        assert body["error_type"].endswith("Exception")
    for body in (b"{", b"[]", b'{"route": "place_order"}', b'{"route":"x","kind":"reject","count":1}', b"NaN"):
        answer = world.session.post(
            world.sandbox + "/sandbox/faults", data=body, headers={"Content-Type": "application/json"}, timeout=10
        )
        assert answer.status_code in (400, 422), (body, answer.text)
        assert answer.json()["status"] == "error"


def test_more_than_ten_orders_a_second_are_429(world: World, kite: KiteConnect):
    answers = []
    for _ in range(12):
        with pytest.raises(kite_errors.KiteException) as refused:
            place(kite, tradingsymbol="NOSUCH")
        answers.append((type(refused.value), refused.value.code))
    assert (kite_errors.NetworkException, 429) in answers
    until(lambda: spaced_refusal(kite), "the limit clears with its second", 5)


def spaced_refusal(kite: KiteConnect) -> bool:
    with pytest.raises(kite_errors.KiteException) as refused:
        place(kite, tradingsymbol="NOSUCH")
    return refused.value.code == 400


def test_prices_are_set_exactly(world: World):
    world.set_price("NSE:INFY", "1499.90")
    assert Decimal(world.last_price("NSE:INFY")) == Decimal("1499.90")
    world.set_price("NSE:INFY", "1500.00")
    answer = world.session.post(world.sandbox + "/sandbox/prices", json={"NSE:NOSUCH": "1.00"}, timeout=10)
    assert answer.status_code in (400, 404, 422)
    answer = requests.post(world.sandbox + "/sandbox/prices", json={"NSE:INFY": "1500.03"}, timeout=10)
    assert answer.status_code in (200, 400, 422)
    world.set_price("NSE:INFY", "1500.00")
