"""Trading a basket: invest, exit, rebalance, repair, and what each would do."""

from functools import partial

from fastapi import APIRouter, Response

from saras_common.auth import Identity
from saras_common.web import CurrentUser, IdempotencyKey, StrictRoute
from smallcase_service.api.edge import Ctx, answer, id_in_path, key_of, once_answer
from smallcase_service.documents import preview_document, run_document
from smallcase_service.schemas import (
    ExitIn,
    InvestIn,
    PreviewIn,
    PreviewOut,
    RebalanceRunIn,
    RepairIn,
    RunOut,
    StartedOut,
)
from smallcase_service.usecases import cancelling, previewing, starting, views
from smallcase_service.usecases.context import Context
from smallcase_service.usecases.once import ACCEPTED
from smallcase_service.usecases.trading import Start, trade

router = APIRouter(route_class=StrictRoute, tags=["baskets"])


@router.post("/smallcase/{smallcase_id}/invest", status_code=202, response_model=StartedOut)
def invest(smallcase_id: str, body: InvestIn, caller: CurrentUser, ctx: Ctx, key: IdempotencyKey = None) -> Response:
    """Buy the basket, or more of it, for at most the amount. Nothing is ever sold."""
    wanted = id_in_path(smallcase_id)
    start = partial(
        starting.start_investing, ctx=ctx, user_id=caller.user_id, smallcase_id=wanted, amount_paise=body.amount
    )
    return _trade(ctx, caller, key, f"invest {wanted} {body.amount}", start)


@router.post("/smallcase/{smallcase_id}/exit", status_code=202, response_model=StartedOut)
def leave(
    smallcase_id: str, caller: CurrentUser, ctx: Ctx, body: ExitIn | None = None, key: IdempotencyKey = None
) -> Response:
    """Sell the basket, or a fraction of every holding in it."""
    wanted, fraction = id_in_path(smallcase_id), (body or ExitIn()).part()
    start = partial(starting.start_exiting, ctx=ctx, user_id=caller.user_id, smallcase_id=wanted, fraction=fraction)
    return _trade(ctx, caller, key, f"exit {wanted} {fraction}", start)


@router.post("/smallcase/{smallcase_id}/rebalance", status_code=202, response_model=StartedOut)
def rebalance(
    smallcase_id: str, caller: CurrentUser, ctx: Ctx, body: RebalanceRunIn | None = None, key: IdempotencyKey = None
) -> Response:
    """Consent to the latest version's weights: sells first, then buys with what they brought."""
    wanted, is_full = id_in_path(smallcase_id), (body or RebalanceRunIn()).full
    start = partial(starting.start_rebalancing, ctx=ctx, user_id=caller.user_id, smallcase_id=wanted, is_full=is_full)
    return _trade(ctx, caller, key, f"rebalance {wanted} {is_full}", start)


@router.post("/smallcase/{smallcase_id}/repair", status_code=202, response_model=StartedOut)
def repair(
    smallcase_id: str, caller: CurrentUser, ctx: Ctx, body: RepairIn | None = None, key: IdempotencyKey = None
) -> Response:
    """Consent to trying the orders that did not fill once more, within what the last run left."""
    del body
    wanted = id_in_path(smallcase_id)
    start = partial(starting.start_repairing, ctx=ctx, user_id=caller.user_id, smallcase_id=wanted)
    return _trade(ctx, caller, key, f"repair {wanted}", start)


@router.post("/smallcase/{smallcase_id}/preview", response_model=PreviewOut)
def preview(smallcase_id: str, body: PreviewIn, caller: CurrentUser, ctx: Ctx) -> Response:
    """Exactly what a run would sell and buy now, and what it costs. Nothing is done."""
    wanted = id_in_path(smallcase_id)
    with ctx.database.for_users(caller.user_id) as session:
        if body.action == "invest":
            found = previewing.preview_investing(session, ctx, caller.user_id, wanted, body.amount or 0)
        elif body.action == "exit":
            found = previewing.preview_exiting(session, caller.user_id, wanted, ExitIn(fraction=body.fraction).part())
        elif body.action == "rebalance":
            found = previewing.preview_rebalancing(session, ctx, caller.user_id, wanted, is_full=body.full)
        else:
            found = previewing.preview_repairing(session, ctx, caller.user_id, wanted)
    return answer(preview_document(body.action, found, ctx.today()))


@router.get("/investments/{investment_id}/runs/{run_id}", response_model=RunOut)
def get_run(investment_id: str, run_id: str, caller: CurrentUser, ctx: Ctx) -> Response:
    """One run of one of my baskets."""
    with ctx.database.for_users(caller.user_id) as session:
        run, legs = views.view_run(session, id_in_path(investment_id), id_in_path(run_id), caller.user_id)
    return answer(run_document(run, legs))


@router.delete("/investments/{investment_id}/runs/{run_id}", status_code=202, response_model=RunOut)
def cancel_run(investment_id: str, run_id: str, caller: CurrentUser, ctx: Ctx, key: IdempotencyKey = None) -> Response:
    """Ask for a run to be cancelled: its resting orders are, nothing more is placed, what has filled stays.

    What is not spent is free again when the orders have ended, which the run then shows.
    """
    basket, wanted = id_in_path(investment_id), id_in_path(run_id)
    mark = key_of(caller.user_id, key, f"cancel {basket} {wanted}")
    return once_answer(cancelling.cancel_run(ctx, caller.user_id, mark, basket, wanted), ACCEPTED)


def _trade(ctx: Context, caller: Identity, key: str | None, what: str, start: Start) -> Response:
    done = trade(ctx, caller.user_id, key_of(caller.user_id, key, what), start)
    return once_answer(done, ACCEPTED)
