"""Cancel runs: what is not in the book is not placed, what rests there is cancelled, what has filled stays.

Asked for in one transaction; the cancels follow, and are sent again while the run is not over.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.orm import Session

from saras_common import jsonio
from saras_common.errors import NotFound
from smallcase_service.documents import run_document
from smallcase_service.domain.refusals import RunEnded
from smallcase_service.domain.runs import Leg
from smallcase_service.store import runs
from smallcase_service.store.runs import Run
from smallcase_service.usecases import running
from smallcase_service.usecases.context import Context
from smallcase_service.usecases.once import ACCEPTED, Answered, Key, act_once


def cancel_run(ctx: Context, user_id: UUID, key: Key | None, investment_id: UUID, run_id: UUID) -> Answered:
    """Ask, once a key, and cancel what rests; the run as it stands, which tells when it is over."""

    def ask(session: Session) -> bytes:
        return jsonio.dumps(run_document(*request_cancel(session, ctx, user_id, investment_id, run_id)))

    done = act_once(ctx, key, ask, user_id, ACCEPTED)
    if done.error is None:
        cancel_orders(ctx, [run_id])
    return done


def request_cancel(
    session: Session, ctx: Context, user_id: UUID, investment_id: UUID, run_id: UUID
) -> tuple[Run, list[Leg]]:
    """The run, to be cancelled; asking again changes nothing. `RunEnded` when it is over without having been asked."""
    run = next(iter(runs.lock(session, [run_id])), None)
    if run is None or run.user_id != user_id or run.investment_id != investment_id:
        raise NotFound
    if run.cancel_asked_at is None:
        if run.state.is_over:
            raise RunEnded
        run.cancel_asked_at = ctx.clock.now()
        if not run.is_tried:
            runs.cancel_unplaced(session, run)
            running.finish(ctx, session, run, _legs(session, run))
            running.tell(ctx, session, [run])
        runs.save(session, [run])
    return run, _legs(session, run)


def cancel_orders(ctx: Context, run_ids: Sequence[UUID]) -> None:
    """Ask the book to cancel what rests of the present orders of runs; those without an answer are asked for again."""
    with ctx.database.for_service() as session:
        resting = [run for run in runs.lock(session, run_ids) if run.is_placed and not run.state.is_over]
        legs = runs.list_legs(session, [run.id for run in resting])
        for run in resting:
            run.looked_at = ctx.clock.now()
        runs.save(session, resting)
    ctx.book.cancel(
        [
            (run.user_id, leg.order_id)
            for run in resting
            for leg in legs[run.id]
            if leg.order_id is not None and not leg.is_over
        ]
    )


def cancel_resting(ctx: Context) -> int:
    """One round for all runs whose users want them cancelled; how many there were."""
    with ctx.database.for_service() as session:
        waiting = runs.list_to_cancel(session, ctx.clock.now() - running.PATIENCE, running.AT_ONCE)
    if waiting:
        cancel_orders(ctx, waiting)
    return len(waiting)


def _legs(session: Session, run: Run) -> list[Leg]:
    return runs.list_legs(session, [run.id]).get(run.id, [])
