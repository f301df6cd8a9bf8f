from decimal import Decimal

import pytest
from pydantic import ValidationError

from saras_common.errors import InvalidInput
from saras_common.schemas import (
    Answer,
    InstrumentName,
    Paise,
    Quantity,
    Rupees,
    Strict,
    Text,
    decode_cursor,
    encode_cursor,
)


class Body(Strict):
    price: Rupees
    quantity: Quantity = 1
    instrument: InstrumentName = "NSE:INFY"
    name: Text = "x"


class Shown(Answer):
    amount: Paise


@pytest.mark.parametrize(("sent", "paise"), [("1523.40", 152340), (1523, 152300), (Decimal("0.05"), 5)])
def test_money_in_is_a_string_or_a_number(sent, paise):
    assert Body(price=sent).price == paise


@pytest.mark.parametrize(
    "bad",
    [
        {"price": True},
        {"price": 1.5},
        {"price": "1_000"},
        {"price": " 1"},
        {"price": "1e3"},
        {"price": "٣"},
        {"price": "-1"},
        {"price": "0"},
        {"price": "1.001"},
        {"price": None},
        {"price": []},
        {"price": "1", "quantity": True},
        {"price": "1", "quantity": "5"},
        {"price": "1", "quantity": 0},
        {"price": "1", "quantity": 10**9 + 1},
        {"price": "1", "quantity": Decimal("1.0")},
        {"price": "1", "extra": 1},
        {"price": "1", "instrument": "INFY"},
        {"price": "1", "instrument": "nse:infy"},
        {"price": "1", "name": "a\nb"},
        {"price": "1", "name": "  "},
    ],
)
def test_nothing_is_coerced(bad):
    with pytest.raises(ValidationError):
        Body(**bad)


def test_money_out_is_a_decimal_string():
    assert Shown(amount=152340).model_dump_json() == '{"amount":"1523.40"}'


def test_cursors_round_trip_and_refuse_others():
    assert decode_cursor(encode_cursor("a", 1), str, int) == ("a", 1)
    assert decode_cursor(None, str) is None
    for bad in ("", "!!", "a", encode_cursor(1), encode_cursor("a", "b"), "e30", "é"):
        with pytest.raises(InvalidInput):
            decode_cursor(bad, str, int)
