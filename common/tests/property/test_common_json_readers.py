"""The quick reader never says anything but what the strict one would have said."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from saras_common import jsonio

ODD = ('"', ":", '":', '"a":', "\\", "\\u0000", "\x00", "\ud800", "1.5")
TEXTS = st.one_of(st.text(max_size=4), st.sampled_from(ODD))
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS)
PAIRS: Any = st.deferred(lambda: st.lists(st.tuples(st.sampled_from(["a", "b", '"', "a:"]), VALUES), max_size=3))
VALUES: Any = st.deferred(lambda: st.one_of(LEAVES, st.lists(VALUES, max_size=3), PAIRS.map(_Written)))
SPACES = st.sampled_from(["", " ", "\t", "\n "])


class _Written(list[tuple[str, Any]]):
    """An object as it is written: a key may stand twice."""


def write(value: Any, space: str, *, ascii_only: bool) -> str:
    if isinstance(value, _Written):
        parts = [
            f"{json.dumps(key, ensure_ascii=ascii_only)}{space}:{space}{write(item, space, ascii_only=ascii_only)}"
            for key, item in value
        ]
        return "{" + f",{space}".join(parts) + "}"
    if isinstance(value, list):
        return "[" + f"{space},".join(write(item, space, ascii_only=ascii_only) for item in value) + "]"
    return json.dumps(value, ensure_ascii=ascii_only)


def told(read: Any, body: bytes) -> str:
    try:
        return repr(read(body))
    except jsonio.BadJson as error:
        return f"refused: {error}"


@given(VALUES, SPACES, st.booleans(), st.binary(max_size=2))
def test_both_readers_agree(value: Any, space: str, ascii_only: bool, tail: bytes) -> None:
    body = write(value, space, ascii_only=ascii_only).encode("utf-8", "surrogatepass") + tail
    assert told(jsonio.loads, body) == told(jsonio._read_strictly, body)
