"""One request, one effect: the first answer to an idempotency key is the answer to all that follow."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import orjson
from sqlalchemy.orm import Session

from portfolio_service.domain.repeated import Repeated, document_of
from portfolio_service.store import clients, idempotency
from portfolio_service.store.idempotency import Kept
from saras_common.errors import CallerError, IdempotencyKeyReused
from saras_common.ids import NewId


@dataclass(frozen=True, slots=True)
class Answered:
    """A body, or the refusal in its place."""

    body: bytes
    error: CallerError | Repeated | None = None
    replayed: bool = False


def act_once(
    session: Session,
    user_id: UUID,
    key: str | None,
    fingerprint: bytes,
    work: Callable[[], bytes],
    *,
    now: datetime,
    new_id: NewId,
) -> Answered:
    """``work()``, unless ``key`` was used before. The user's lock makes a second request wait for the first.

    A refusal is an answer too: it is kept, and what ``work`` had written until then is undone.
    """
    if key is None:
        return Answered(work())
    owner = str(user_id)
    clients.lock_wallets(session, [owner], now, new_id)
    kept = idempotency.find_answers(session, [(owner, key)]).get((owner, key))
    if kept is not None:
        return _again(kept, fingerprint)
    status = 200
    error: CallerError | None = None
    try:
        with session.begin_nested():
            body = work()
    except CallerError as refusal:
        error, body, status = refusal, orjson.dumps(document_of(refusal)), refusal.status
    idempotency.add_answers(session, [Kept(owner, key, fingerprint, status, body)], now)
    return Answered(body, error)


def _again(kept: Kept, fingerprint: bytes) -> Answered:
    if kept.fingerprint != fingerprint:
        return Answered(b"", IdempotencyKeyReused())
    if kept.status >= 400:  # noqa: PLR2004 - where HTTP's errors begin
        return Answered(b"", Repeated(orjson.loads(kept.body)), replayed=True)
    return Answered(kept.body, replayed=True)
