"""What the handlers share: the tools, and answers written as JSON."""

import hashlib
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Request, Response

from saras_common import jsonio
from saras_common.errors import InvalidInput, NotFound
from saras_common.ids import find_id
from saras_common.schemas import encode_cursor
from saras_common.web import problem_response
from smallcase_service.usecases.context import Context
from smallcase_service.usecases.once import Answered, Key


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


Ctx = Annotated[Context, Depends(_context)]


def answer(document: Any, status: int = 200) -> Response:
    """``document`` as JSON."""
    return Response(jsonio.dumps(document), status_code=status, media_type="application/json")


def page_answer(documents: list[Any], ids: list[UUID], limit: int) -> Response:
    """A page of at most ``limit`` of the documents (one more than that was read), newest first by id."""
    more = len(documents) > limit
    cursor = encode_cursor(str(ids[limit - 1])) if more else None
    return answer({"items": documents[:limit], "next_cursor": cursor})


def once_answer(done: Answered, status: int) -> Response:
    """What `act_once` or `trade` gave, the first time or again."""
    if done.error is None:
        response = Response(done.body, status_code=status, media_type="application/json")
    else:
        response = problem_response(done.error)
    if done.replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return response


def id_in_path(text: str) -> UUID:
    """An id from the path; what is no id is nobody's."""
    found = find_id(text)
    if found is None:
        raise NotFound
    return found


def id_in_cursor(position: tuple[Any, ...] | None) -> UUID | None:
    """The id a cursor holds; `InvalidInput` when it holds none."""
    if position is None:
        return None
    found = find_id(position[0])
    if found is None:
        raise InvalidInput(errors=[{"field": "cursor", "message": "not a cursor of this list"}])
    return found


def key_of(user_id: UUID, key: str | None, what: str, body: bytes = b"") -> Key | None:
    """An idempotency key and what it stands for: the action and its body."""
    if key is None:
        return None
    return user_id, key, hashlib.sha256(what.encode() + b"\n" + body).digest()
