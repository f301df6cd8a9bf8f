"""What HTTP bodies are made of: one strict model, exact money on the way in and out, pages with opaque cursors."""

import base64
import binascii
from decimal import Decimal
from typing import Annotated, Any, Generic, TypeVar

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, StringConstraints, WithJsonSchema

from saras_common.errors import InvalidInput
from saras_common.money import average_price, paise_from, rupees

MAX_QUANTITY = 10**9


class Strict(BaseModel):
    """Input: no coercion, no unknown fields, nothing changed after it was read."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class Answer(BaseModel):
    """Output."""

    model_config = ConfigDict(frozen=True)


def _paise(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError("must be a decimal string or a number")  # noqa: TRY004 - pydantic reports ValueError
    if isinstance(value, str) and not (value.isascii() and value.replace(".", "", 1).lstrip("-").isdigit()):
        raise ValueError("must be a decimal number")
    return paise_from(value)


_MONEY_IN = {
    "anyOf": [{"type": "string", "pattern": r"^\d+(\.\d{1,2})?$"}, {"type": "number"}],
    "examples": ["1523.40"],
}
_MONEY_OUT = {"type": "string", "pattern": r"^-?\d+\.\d{2}$", "examples": ["1523.40"]}

Rupees = Annotated[int, BeforeValidator(_paise), Field(gt=0), WithJsonSchema(_MONEY_IN)]
"""Input amount or price in rupees, string or JSON number, > 0; the model holds paise."""

Paise = Annotated[int, PlainSerializer(rupees, return_type=str), WithJsonSchema(_MONEY_OUT)]
"""Output amount held in paise, written as a decimal string of rupees."""

Quantity = Annotated[int, Field(ge=1, le=MAX_QUANTITY)]

InstrumentName = Annotated[
    str,
    StringConstraints(min_length=3, max_length=64, pattern=r"^[A-Z]{2,5}:[A-Z0-9][A-Z0-9&_ .-]*$"),
    Field(examples=["NSE:INFY"]),
]
"""``EXCHANGE:SYMBOL``."""

Text = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")
]
"""A line people wrote: no control characters."""

IDEMPOTENCY_KEY_PATTERN = r"^[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?$"
"""Up to 255 printable ASCII characters."""

T = TypeVar("T")


class Page(Answer, Generic[T]):
    """A part of a list; ``next_cursor`` asks for the next, ``null`` at the end."""

    items: list[T]
    next_cursor: str | None = None


Limit = Annotated[int, Field(ge=1, le=500)]
"""``?limit=``; 50 unless told."""


def encode_cursor(*position: str | int) -> str:
    """An opaque cursor for the position after the last item of a page."""
    return base64.urlsafe_b64encode(orjson.dumps(position)).decode().rstrip("=")


def decode_cursor(cursor: str | None, *kinds: type) -> tuple[Any, ...] | None:
    """The position in ``cursor``, its parts of the given types; `InvalidInput` when it is not one of ours."""
    if cursor is None:
        return None
    try:
        position = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError):
        position = None
    if (
        not isinstance(position, list)
        or len(position) != len(kinds)
        or any(type(part) is not kind for part, kind in zip(position, kinds, strict=True))
    ):
        raise InvalidInput(
            "The cursor is not valid", errors=[{"field": "cursor", "message": "not a cursor of this list"}]
        )
    return tuple(position)


__all__ = [
    "IDEMPOTENCY_KEY_PATTERN",
    "Answer",
    "InstrumentName",
    "Limit",
    "Page",
    "Paise",
    "Quantity",
    "Rupees",
    "Strict",
    "Text",
    "average_price",
    "decode_cursor",
    "encode_cursor",
]
