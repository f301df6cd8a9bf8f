"""A run asked for by its user: started in one transaction, placed at once, answered with what the book took."""

from collections.abc import Callable
from uuid import UUID

from sqlalchemy.orm import Session

from saras_common.errors import CallerError, SarasError
from smallcase_service.book import Placed
from smallcase_service.documents import run_answer
from smallcase_service.store import keys
from smallcase_service.usecases import checking, once, running
from smallcase_service.usecases.context import Context
from smallcase_service.usecases.once import ACCEPTED, Answered, Key
from smallcase_service.usecases.starting import Started

Start = Callable[[Session], Started]


def trade(ctx: Context, user_id: UUID, key: Key | None, start: Start) -> Answered:
    """Start a run and place its first orders. The same key again resumes or repeats, and never starts another.

    When the book cannot be reached the run is answered as it stands, QUEUED: it is placed as soon as the book is back.
    """
    checking.check_user(ctx, user_id)
    try:
        with ctx.database.for_users(user_id) as session:
            kept = once.claim(ctx, session, key)
            if kept is not None:
                return once.again(kept, key)
            started = start(session)
            if key is not None:
                keys.start(session, user_id, key[1], started.run.id)
            running.tell(ctx, session, [started.run])
    except CallerError as refusal:
        return once.refused(ctx, key, refusal)
    outcome = _place(ctx, started)
    if isinstance(outcome, CallerError):
        return once.refused(ctx, key, outcome)
    body = run_answer(started, outcome if isinstance(outcome, list) else [], ctx.today())
    if key is not None:
        with ctx.database.for_users(user_id) as session:
            keys.answer(session, user_id, key[1], ACCEPTED, body)
    return Answered(body)


def _place(ctx: Context, started: Started) -> Placed | SarasError:
    if not started.legs:  # nothing to trade: the run is over with its first step
        running.advance_runs(ctx, [started.run.id])
        return []
    answers = running.place_runs(ctx, [started.run.id])
    return answers.get(started.run.id, [])
