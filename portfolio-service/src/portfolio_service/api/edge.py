"""What the handlers share: the tools, and answers written as JSON."""

import hashlib
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Request, Response

from portfolio_service.entry import OrderEntry
from portfolio_service.usecases.context import Context
from portfolio_service.usecases.once import Answered
from saras_common import jsonio
from saras_common.errors import InvalidInput, NotFound
from saras_common.ids import find_id
from saras_common.web import problem_response


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


async def _entry(request: Request) -> OrderEntry:
    entry: OrderEntry = request.app.state.order_entry
    return entry


Ctx = Annotated[Context, Depends(_context)]
Entry = Annotated[OrderEntry, Depends(_entry)]


def answer(document: Any, status: int = 200, *, replayed: bool = False) -> Response:
    """``document`` as JSON."""
    return written(jsonio.dumps(document), status, replayed=replayed)


def written(body: bytes, status: int, *, replayed: bool = False) -> Response:
    """JSON that is written already."""
    return _Written(body, status, replayed=replayed)


class _Written(Response):
    """A response whose headers need no working out."""

    def __init__(self, body: bytes, status: int, *, replayed: bool) -> None:
        self.body = body
        self.status_code = status
        self.background = None
        self.raw_headers = [
            (b"content-length", str(len(body)).encode("ascii")),
            (b"content-type", b"application/json"),
        ]
        if replayed:
            self.raw_headers.append((b"idempotency-replayed", b"true"))


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


def once_answer(done: Answered, status: int) -> Response:
    """What `act_once` gave, the first time or again."""
    if done.error is None:
        return written(done.body, status, replayed=done.replayed)
    response = problem_response(done.error)
    if done.replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return response


def fingerprint(what: str, body: bytes = b"") -> bytes:
    """What an idempotency key stands for: the action and its body."""
    return hashlib.sha256(what.encode() + b"\n" + body).digest()
