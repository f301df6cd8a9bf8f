"""What the handlers share: the tools, whose things are meant, answers written as JSON."""

from datetime import date
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Query, Request, Response

from analytics_service.schemas import Day
from analytics_service.usecases.context import Context
from saras_common import jsonio
from saras_common.errors import InvalidInput, NotFound
from saras_common.ids import find_id
from saras_common.schemas import InstrumentName, decode_cursor
from saras_common.web import CurrentUser


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


def id_in_path(text: str) -> UUID:
    """An id from the path; what is no id is nobody's."""
    found = find_id(text)
    if found is None:
        raise NotFound
    return found


def _subject(caller: CurrentUser, user_id: Annotated[str | None, Query(max_length=64)] = None) -> UUID:
    """Oneself, or anybody for an administrator; to others other people do not exist."""
    if user_id is None:
        return caller.user_id
    wanted = find_id(user_id)
    if wanted is None or (wanted != caller.user_id and not caller.is_admin):
        raise NotFound
    return wanted


def answer(document: Any, status: int = 200) -> Response:
    """``document`` as JSON; a float that is not finite has no place in it."""
    return Response(jsonio.dumps(document), status_code=status, media_type="application/json")


def check_span(first: date | None, last: date | None) -> None:
    """`InvalidInput` when a period ends before it begins."""
    if first is not None and last is not None and last < first:
        raise InvalidInput(errors=[{"field": "to", "message": "is before from"}])


def id_in_cursor(cursor: str | None) -> UUID | None:
    """The id a page starts after."""
    position = decode_cursor(cursor, str)
    return None if position is None else id_in_path(position[0])


From = Annotated[Day | None, Query(alias="from")]
To = Annotated[Day | None, Query(alias="to")]
Benchmark = Annotated[InstrumentName | None, Query()]
Ctx = Annotated[Context, Depends(_context)]
Subject = Annotated[UUID, Depends(_subject)]
