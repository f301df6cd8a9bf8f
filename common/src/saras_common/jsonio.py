"""One JSON reader for input from outside, strict where the standard one is kind, and one quick writer."""

import hashlib
import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NoReturn

import orjson

MAX_DEPTH = 32
MAX_DIGITS = 40
MAX_REQUEST_VALUES = 12_500
MAX_REQUEST_CONTAINERS = 2_500
"""More than a batch of a thousand orders holds: reading more, and naming its mistakes, would keep others waiting."""
_NUL_OR_SURROGATE = re.compile("[\x00\ud800-\udfff]")
_DOUBTFUL = object()
_DOUBTFUL_MARKS = (b"\\u", b" :", b"\t:", b"\n:", b"\r:")


class BadJson(ValueError):
    """The text is not acceptable JSON; the message never repeats it."""


class _Doubt(Exception):
    """The quick reader may have understood something else."""


def loads(body: bytes) -> Any:
    """Parse ``body``; decimals become exact `Decimal`.

    Refused: invalid UTF-8, a byte-order mark, NaN and Infinity, duplicate keys, NUL and lone surrogates in strings,
    nesting beyond 32, decimals beyond 40 characters. How large an integer may be is the field's to say.
    """
    value = _plain(body)
    return _read_strictly(body) if value is _DOUBTFUL else value


def loads_request(body: bytes) -> Any:
    """`loads` of what a client sent; also refused: more values, or lists and objects, than any call takes."""
    if body.count(b",") > MAX_REQUEST_VALUES or body.count(b"{") + body.count(b"[") > MAX_REQUEST_CONTAINERS:
        raise BadJson("too many values")
    return loads(body)


def _plain(body: bytes) -> Any:
    """What the quick reader makes of ``body``, or `_DOUBTFUL` unless the strict one must agree.

    They part over decimals, escapes, deep nesting, and keys that stand twice. With no space before any colon, a quote
    and a colon stand behind every key; when there are no more of these than keys were kept, each key was kept.
    """
    for mark in _DOUBTFUL_MARKS:
        if mark in body:
            return _DOUBTFUL
    try:
        value = orjson.loads(body)
        keys = _count_keys(value, MAX_DEPTH // 2)
    except (orjson.JSONDecodeError, _Doubt):
        return _DOUBTFUL
    return value if body.count(b'":') == keys else _DOUBTFUL


def _count_keys(value: Any, depth_left: int) -> int:
    """Keys anywhere in ``value``; `_Doubt` at a decimal, and where it nests too deeply to say more."""
    kind = value.__class__
    if kind is dict or kind is list:
        if depth_left == 0:
            raise _Doubt
        count = len(value) if kind is dict else 0
        for item in value.values() if kind is dict else value:
            inner = item.__class__
            if inner is dict or inner is list or inner is float:
                count += _count_keys(item, depth_left - 1)
        return count
    if kind is float:
        raise _Doubt
    return 0


def _read_strictly(body: bytes) -> Any:
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadJson("not UTF-8") from error
    try:
        value = _DECODER.decode(text)
    except BadJson:
        raise
    except (ValueError, RecursionError) as error:
        raise BadJson("not valid JSON") from error
    if value.__class__ is dict or value.__class__ is list:
        _check_depth(value)
    if "\\u" in text or "\x00" in text:
        _check_strings(value)
    return value


def dumps(value: Any) -> bytes:
    """Compact JSON; datetimes as RFC 3339 with ``Z``, UUIDs as text. Floats and Decimals have no place in it."""
    try:
        return orjson.dumps(value, option=orjson.OPT_UTC_Z)
    except TypeError:  # a key that is no string, which to look for in every document would cost a fifth
        return orjson.dumps(value, option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS)


def _unique_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise BadJson("a key stands twice")
    return result


def digest_of(row: Mapping[str, Any]) -> str:
    """SHA-256 over a row's names and values in one canonical form: the same before it is stored and after."""
    return hashlib.sha256(orjson.dumps(row, option=orjson.OPT_SORT_KEYS | orjson.OPT_UTC_Z)).hexdigest()


def _decimal(text: str) -> Decimal:
    if len(text) > MAX_DIGITS:
        raise BadJson("a number is too long")
    value = Decimal(text)
    if not -MAX_DIGITS <= value.adjusted() <= MAX_DIGITS:
        raise BadJson("a number is out of range")
    return value


def _constant(_text: str) -> NoReturn:
    raise BadJson("NaN and Infinity are not JSON")


def _check_depth(value: Any, left: int = MAX_DEPTH) -> None:
    if left == 0:
        raise BadJson("nested too deeply")
    for item in value.values() if value.__class__ is dict else value:
        if item.__class__ is dict or item.__class__ is list:
            _check_depth(item, left - 1)


def _check_strings(value: Any) -> None:
    if isinstance(value, str):
        if _NUL_OR_SURROGATE.search(value):
            raise BadJson("a string holds a character that is not text")
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_strings(key)
            _check_strings(item)
    elif isinstance(value, list):
        for item in value:
            _check_strings(item)


_DECODER = json.JSONDecoder(object_pairs_hook=_unique_pairs, parse_float=_decimal, parse_constant=_constant)
