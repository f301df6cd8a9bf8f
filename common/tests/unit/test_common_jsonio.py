from decimal import Decimal

import pytest

from saras_common.jsonio import MAX_REQUEST_CONTAINERS, MAX_REQUEST_VALUES, BadJson, dumps, loads, loads_request


def test_numbers_are_exact():
    value = loads(b'{"price": 1523.40, "quantity": 5, "big": 1.10e3}')
    assert value == {"price": Decimal("1523.40"), "quantity": 5, "big": Decimal("1.10e3")}
    assert isinstance(value["price"], Decimal)
    assert isinstance(value["quantity"], int)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"NaN", "NaN"),
        (b'{"a": Infinity}', "NaN"),
        (b"[-Infinity]", "NaN"),
        (b"1e400", "range"),
        (b"1e-400", "range"),
        (b"9" * 5000, "JSON"),
        (b"0." + b"1" * 41, "long"),
        (b'{"a": 1, "a": 2}', "twice"),
        (b'{"x": {"a": 1, "a": 1}}', "twice"),
        (b"\xff\xfe", "UTF-8"),
        (b"\xed\xa0\x80", "UTF-8"),
        (b'"\\ud800"', "not text"),
        (b'{"\\u0000": 1}', "not text"),
        (b'["\\u0000"]', "not text"),
        (b"[" * 33 + b"]" * 33, "deep"),
        (b"[" * 100_000, "deep|JSON"),
        (b'{"a":' * 33 + b"1" + b"}" * 33, "deep"),
        (b"", "JSON"),
        (b"{'a': 1}", "JSON"),
        (b"[1] x", "JSON"),
        (b'{"a": 01}', "JSON"),
        (b"\xef\xbb\xbf{}", "JSON"),
    ],
)
def test_hostile_bodies_are_refused_and_never_repeated(body, why):
    with pytest.raises(BadJson, match=why) as caught:
        loads(body)
    assert len(str(caught.value)) < 60


def test_brackets_in_strings_and_wide_documents_are_fine():
    assert loads(b'["' + b"[" * 100 + b'"]') == ["[" * 100]
    assert len(loads(b"[" + b",".join([b'{"a": [1]}'] * 1000) + b"]")) == 1000
    assert loads(b"[" * 32 + b"]" * 32)
    assert loads(b'"\\ud83d\\ude00"') == "\U0001f600"


def test_a_request_holds_as_many_values_as_a_call_takes():
    assert len(loads_request(b"[" + b",".join([b"0"] * MAX_REQUEST_VALUES) + b"]")) == MAX_REQUEST_VALUES
    with pytest.raises(BadJson, match="too many values"):
        loads_request(b"[" + b",".join([b"0"] * (MAX_REQUEST_VALUES + 2)) + b"]")
    for one in (b"{}", b"[]"):
        assert loads_request(b"[" + b",".join([one] * (MAX_REQUEST_CONTAINERS - 1)) + b"]")
        with pytest.raises(BadJson, match="too many values"):
            loads_request(b"[" + b",".join([one] * MAX_REQUEST_CONTAINERS) + b"]")


def test_what_we_write_is_compact():
    assert dumps({"a": [1, "x"]}) == b'{"a":[1,"x"]}'
