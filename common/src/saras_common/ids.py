"""Identifiers: UUIDv7, so that they sort by the time they were made and index well."""

from collections.abc import Callable
from uuid import UUID

import uuid_utils
from uuid_utils.compat import uuid7

NewId = Callable[[], UUID]
"""Where ids come from; production passes `new_id`, simulations a seeded counter."""


def new_id() -> UUID:
    """A fresh UUIDv7."""
    return uuid7()


_OURS: NewId = new_id


def texts_of(new_id: NewId) -> Callable[[], str]:
    """``new_id`` for who needs ids by the thousand, as text: ours are written without an object in between."""
    if new_id is _OURS:
        return lambda: str(uuid_utils.uuid7())
    return lambda: str(new_id())


def find_id(text: str) -> UUID | None:
    """The id written in ``text``, or ``None`` when it is not one: to a caller that is an unknown id, not an error."""
    try:
        return UUID(text)
    except ValueError:
        return None
