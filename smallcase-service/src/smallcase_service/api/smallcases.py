"""Smallcases: make, change, look at."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from saras_common import jsonio
from saras_common.schemas import Limit, Page, decode_cursor
from saras_common.web import CurrentUser, IdempotencyKey, StrictRoute
from smallcase_service.api.edge import Ctx, answer, id_in_cursor, id_in_path, key_of, once_answer, page_answer
from smallcase_service.documents import (
    performance_document,
    smallcase_document,
    suggestions_document,
    version_document,
    what_if_document,
)
from smallcase_service.schemas import (
    PerformanceOut,
    SmallcaseIn,
    SmallcaseOut,
    SuggestionIn,
    SuggestionsOut,
    VersionOut,
    WhatIfOut,
)
from smallcase_service.store import smallcases as stored
from smallcase_service.usecases import composing, suggesting, views, whatif
from smallcase_service.usecases.once import CREATED, act_once

router = APIRouter(route_class=StrictRoute, tags=["smallcases"])


@router.post("/smallcase", status_code=201, response_model=SmallcaseOut)
def create_smallcase(body: SmallcaseIn, caller: CurrentUser, ctx: Ctx, key: IdempotencyKey = None) -> Response:
    """Make a smallcase."""
    mark = key_of(caller.user_id, key, "create", body.model_dump_json().encode())
    done = act_once(
        ctx,
        mark,
        lambda session: jsonio.dumps(
            smallcase_document(
                views.view_smallcases(
                    session,
                    ctx,
                    [composing.create_smallcase(session, ctx, caller.user_id, body.proposal(), ctx.new_id())],
                )[0]
            )
        ),
        caller.user_id,
        CREATED,
    )
    return once_answer(done, CREATED)


@router.put("/smallcase/{smallcase_id}", response_model=SmallcaseOut)
def change_smallcase(smallcase_id: str, body: SmallcaseIn, caller: CurrentUser, ctx: Ctx) -> Response:
    """A new version of my smallcase; investors are offered the rebalance."""
    wanted = id_in_path(smallcase_id)
    with ctx.database.for_users(caller.user_id) as session:
        changed = composing.change_smallcase(session, ctx, caller.user_id, wanted, body.proposal())
        document = smallcase_document(views.view_smallcases(session, ctx, [changed])[0])
    return answer(document)


@router.delete("/smallcase/{smallcase_id}", status_code=204)
def delete_smallcase(smallcase_id: str, caller: CurrentUser, ctx: Ctx) -> Response:
    """Take my smallcase out of the lists; who is invested keeps the basket."""
    with ctx.database.for_users(caller.user_id) as session:
        composing.delete_smallcase(session, ctx, caller.user_id, id_in_path(smallcase_id))
    return Response(status_code=204)


@router.get("/smallcase/{smallcase_id}", response_model=SmallcaseOut)
def get_smallcase(smallcase_id: str, caller: CurrentUser, ctx: Ctx) -> Response:
    """A smallcase: composition, figures, validation."""
    with ctx.database.for_users(caller.user_id) as session:
        view = views.view_smallcase(session, ctx, id_in_path(smallcase_id), caller.user_id)
    return answer(smallcase_document(view))


@router.get("/smallcases", response_model=Page[SmallcaseOut])
def list_smallcases(
    caller: CurrentUser,
    ctx: Ctx,
    q: Annotated[str | None, Query(max_length=100)] = None,
    limit: Annotated[Limit, Query()] = 50,
    cursor: str | None = None,
) -> Response:
    """Public smallcases and my own, newest first; ``q`` looks in name, description and constituents."""
    before = id_in_cursor(decode_cursor(cursor, str))
    with ctx.database.for_users(caller.user_id) as session:
        found = stored.list_page(session, caller.user_id, q=q, before=before, limit=limit + 1)
        shown = views.view_smallcases(session, ctx, found)
    return page_answer([smallcase_document(view) for view in shown], [one.id for one in found], limit)


@router.get("/smallcase/{smallcase_id}/versions", response_model=Page[VersionOut])
def list_versions(smallcase_id: str, caller: CurrentUser, ctx: Ctx) -> Response:
    """Every version with its diff, newest first."""
    wanted = id_in_path(smallcase_id)
    with ctx.database.for_users(caller.user_id) as session:
        composing.get_smallcase(session, wanted, caller.user_id)
        rows = stored.list_versions(session, wanted)
        of = stored.list_constituents(session, [(wanted, row.version) for row in rows])
    documents = [version_document(row, of.get((wanted, row.version), [])) for row in rows]
    return answer({"items": documents, "next_cursor": None})


@router.get("/smallcase/{smallcase_id}/performance", response_model=PerformanceOut)
def get_performance(smallcase_id: str, caller: CurrentUser, ctx: Ctx) -> Response:
    """The index since inception, chained over versions, and the figures."""
    with ctx.database.for_users(caller.user_id) as session:
        view = views.view_smallcase(session, ctx, id_in_path(smallcase_id), caller.user_id)
        points = views.index_series(session, ctx, view.smallcase)
    return answer(performance_document(points, view))


@router.post("/smallcase/{smallcase_id}/what-if", response_model=WhatIfOut)
def what_if(smallcase_id: str, body: SmallcaseIn, caller: CurrentUser, ctx: Ctx) -> Response:
    """What publishing this version of my smallcase would set off over all its subscribers. Nothing is done."""
    return answer(what_if_document(whatif.what_if(ctx, caller.user_id, id_in_path(smallcase_id), body.proposal())))


@router.post("/smallcases/suggestions", response_model=SuggestionsOut)
def suggest(body: SuggestionIn, caller: CurrentUser, ctx: Ctx) -> Response:
    """Baskets for my amount, risk level and exclusions, each with why."""
    found = suggesting.suggest(
        ctx, caller.user_id, body.amount, body.risk, exclude=body.exclude, exclude_sectors=body.exclude_sectors
    )
    return answer(suggestions_document(found))
