"""Identifiers: UUIDv7, so that they sort by the time they were made and index well."""

from collections.abc import Callable
from uuid import UUID

from uuid_utils.compat import uuid7

NewId = Callable[[], UUID]
"""Where ids come from; production passes `new_id`, simulations a seeded counter."""


def new_id() -> UUID:
    """A fresh UUIDv7."""
    return uuid7()


def find_id(text: str) -> UUID | None:
    """The id written in ``text``, or ``None`` when it is not one: to a caller that is an unknown id, not an error."""
    try:
        return UUID(text)
    except ValueError:
        return None
