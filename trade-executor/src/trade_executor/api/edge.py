"""What every route takes from the request, and answers repeated for a repeated Idempotency-Key."""

import hashlib
from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Request, Response

from saras_common import jsonio
from saras_common.errors import IdempotencyKeyReused, NotFound
from saras_common.ids import find_id
from trade_executor.store.postgres import PostgresStore
from trade_executor.usecases.context import Context


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


def once(
    context: Context, user_id: UUID, key: str | None, request: bytes, work: Callable[[PostgresStore], Any]
) -> Response:
    """Answer 202 with ``work``'s result; with a key, the first answer again for the same request.

    Two at once: the second waits for the first.
    """
    with context.transactions() as store:
        fingerprint = hashlib.sha256(request).digest()
        if key is not None:
            before = store.find_idempotent(user_id, key)
            if before is not None:
                if before[0] != fingerprint:
                    raise IdempotencyKeyReused
                return _answer(before[1], before[2], replayed=True)
        body = jsonio.dumps(work(store))
        if key is not None:
            store.keep_idempotent(user_id, key, fingerprint, 202, body)
    return _answer(202, body, replayed=False)


def _answer(status: int, body: bytes, *, replayed: bool) -> Response:
    headers = {"Idempotency-Replayed": "true"} if replayed else {}
    return Response(body, status_code=status, headers=headers, media_type="application/json")
