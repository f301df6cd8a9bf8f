"""One request, one effect: the first answer to an idempotency key is the answer to all that follow."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

import orjson
from sqlalchemy.orm import Session

from saras_common.errors import CallerError, IdempotencyInProgress, IdempotencyKeyReused
from smallcase_service.domain.refusals import Refused
from smallcase_service.store import keys
from smallcase_service.store.keys import Kept
from smallcase_service.usecases.context import Context

CREATED, ACCEPTED = 201, 202


@dataclass(frozen=True, slots=True)
class Answered:
    """A body, or the refusal in its place."""

    body: bytes
    error: CallerError | None = None
    replayed: bool = False


Key = tuple[UUID, str, bytes]
"""User, key, fingerprint of the request."""


def act_once(ctx: Context, key: Key | None, work: Callable[[Session], bytes], user_id: UUID, status: int) -> Answered:
    """``work`` in one transaction with its key and its answer; a refusal is an answer too, with nothing done."""
    try:
        with ctx.database.for_users(user_id) as session:
            kept = claim(ctx, session, key)
            if kept is not None:
                return again(kept, key)
            body = work(session)
            if key is not None:
                keys.answer(session, key[0], key[1], status, body)
            return Answered(body)
    except CallerError as refusal:
        return refused(ctx, key, refusal)


def claim(ctx: Context, session: Session, key: Key | None) -> Kept | None:
    """Take the key for this request; what it was used for, if it was."""
    if key is None:
        return None
    return keys.claim(session, *key, ctx.clock.now())


def again(kept: Kept, key: Key | None) -> Answered:
    """The first answer to a key once more; `IdempotencyInProgress` while there is none."""
    assert key is not None  # noqa: S101 - only a key is kept
    if kept.fingerprint != key[2]:
        return Answered(b"", IdempotencyKeyReused())
    if kept.status is None or kept.body is None:
        return Answered(b"", IdempotencyInProgress(retry_after_s=1))
    if kept.status >= 400:  # noqa: PLR2004 - where HTTP's errors begin
        return Answered(b"", Refused(orjson.loads(kept.body)), replayed=True)
    return Answered(kept.body, replayed=True)


def refused(ctx: Context, key: Key | None, refusal: CallerError) -> Answered:
    """Keep a refusal as the key's answer."""
    if key is not None and not isinstance(refusal, IdempotencyInProgress | IdempotencyKeyReused):
        document = {
            "code": refusal.code,
            "title": refusal.title,
            "status": refusal.status,
            "detail": refusal.detail,
            "errors": [dict(item) for item in refusal.errors],
        }
        with ctx.database.for_users(key[0]) as session:
            keys.claim(session, *key, ctx.clock.now())
            keys.answer(session, key[0], key[1], refusal.status, orjson.dumps(document))
    return Answered(b"", refusal)
