"""My baskets."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from saras_common.schemas import Limit, Page, decode_cursor
from saras_common.web import CurrentUser, StrictRoute
from smallcase_service.api.edge import Ctx, answer, id_in_cursor, id_in_path, page_answer
from smallcase_service.documents import investment_document, run_document
from smallcase_service.schemas import InvestmentChange, InvestmentOut, RunOut
from smallcase_service.store import investments as stored
from smallcase_service.usecases import checking, views

router = APIRouter(route_class=StrictRoute, prefix="/investments", tags=["baskets"])


@router.get("", response_model=Page[InvestmentOut])
def list_investments(
    caller: CurrentUser, ctx: Ctx, limit: Annotated[Limit, Query()] = 50, cursor: str | None = None
) -> Response:
    """My baskets, newest first."""
    before = id_in_cursor(decode_cursor(cursor, str))
    checking.check_user(ctx, caller.user_id)
    with ctx.database.for_users(caller.user_id) as session:
        found = stored.list_page(session, caller.user_id, before=before, limit=limit + 1)
        shown = views.view_investments(session, found, ctx.today())
    return page_answer([investment_document(view) for view in shown], [one.id for one in found], limit)


@router.get("/{investment_id}", response_model=InvestmentOut)
def get_investment(investment_id: str, caller: CurrentUser, ctx: Ctx) -> Response:
    """One of my baskets: holdings against target weights, drift, worth, return."""
    checking.check_user(ctx, caller.user_id)
    with ctx.database.for_users(caller.user_id) as session:
        view = views.view_investment(session, ctx, id_in_path(investment_id), caller.user_id)
    return answer(investment_document(view))


@router.patch("/{investment_id}", response_model=InvestmentOut)
def change_investment(investment_id: str, body: InvestmentChange, caller: CurrentUser, ctx: Ctx) -> Response:
    """Allow (or forbid, with ``null``) my basket to repair itself within a tracking error."""
    wanted = id_in_path(investment_id)
    with ctx.database.for_users(caller.user_id) as session:
        stored.set_repair_budget(session, wanted, caller.user_id, body.auto_repair_budget)
        view = views.view_investment(session, ctx, wanted, caller.user_id)
    return answer(investment_document(view))


@router.get("/{investment_id}/runs", response_model=Page[RunOut])
def list_runs(
    investment_id: str,
    caller: CurrentUser,
    ctx: Ctx,
    limit: Annotated[Limit, Query()] = 50,
    cursor: str | None = None,
) -> Response:
    """What was done to one of my baskets, newest first."""
    before = id_in_cursor(decode_cursor(cursor, str))
    with ctx.database.for_users(caller.user_id) as session:
        found = views.view_runs(session, id_in_path(investment_id), caller.user_id, before, limit + 1)
    return page_answer([run_document(run, legs) for run, legs in found], [run.id for run, _ in found], limit)
