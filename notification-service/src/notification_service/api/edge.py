"""What every route of this service takes from the request."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request

from notification_service.usecases.context import Context
from saras_common.errors import NotFound
from saras_common.ids import find_id
from saras_common.schemas import decode_cursor


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


Ctx = Annotated[Context, Depends(_context)]


def id_in_path(text: str) -> UUID:
    """The id in a path; what is none names nothing."""
    found = find_id(text)
    if found is None:
        raise NotFound
    return found


def id_in_cursor(cursor: str | None) -> UUID | None:
    """The id a page starts after."""
    position = decode_cursor(cursor, str)
    return None if position is None else id_in_path(position[0])
