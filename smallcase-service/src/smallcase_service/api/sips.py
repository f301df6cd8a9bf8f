"""My regular investments."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from saras_common import jsonio
from saras_common.schemas import Limit, Page, decode_cursor
from saras_common.web import CurrentUser, IdempotencyKey, StrictRoute
from smallcase_service.api.edge import Ctx, id_in_cursor, id_in_path, key_of, once_answer, page_answer
from smallcase_service.documents import sip_document
from smallcase_service.schemas import SipIn, SipOut
from smallcase_service.usecases import sips
from smallcase_service.usecases.once import CREATED, act_once

router = APIRouter(route_class=StrictRoute, tags=["baskets"])


@router.post("/smallcase/{smallcase_id}/sip", status_code=201, response_model=SipOut)
def start_sip(smallcase_id: str, body: SipIn, caller: CurrentUser, ctx: Ctx, key: IdempotencyKey = None) -> Response:
    """Invest an amount regularly, on session days."""
    wanted = id_in_path(smallcase_id)
    mark = key_of(caller.user_id, key, f"sip {wanted}", body.model_dump_json().encode())
    done = act_once(
        ctx,
        mark,
        lambda session: jsonio.dumps(
            sip_document(
                sips.start_sip(session, ctx, caller.user_id, wanted, body.amount, body.frequency, body.start_on), []
            )
        ),
        caller.user_id,
        CREATED,
    )
    return once_answer(done, CREATED)


@router.get("/sips", response_model=Page[SipOut])
def list_sips(
    caller: CurrentUser, ctx: Ctx, limit: Annotated[Limit, Query()] = 50, cursor: str | None = None
) -> Response:
    """My regular investments, newest first, with what became of each instalment."""
    before = id_in_cursor(decode_cursor(cursor, str))
    with ctx.database.for_users(caller.user_id) as session:
        found = sips.list_sips(session, caller.user_id, before, limit + 1)
    documents = [sip_document(sip, instalments) for sip, instalments in found]
    return page_answer(documents, [sip.id for sip, _ in found], limit)


@router.delete("/sips/{sip_id}", status_code=204)
def end_sip(sip_id: str, caller: CurrentUser, ctx: Ctx) -> Response:
    """End one; what was invested stays."""
    with ctx.database.for_users(caller.user_id) as session:
        sips.end_sip(session, ctx, caller.user_id, id_in_path(sip_id))
    return Response(status_code=204)
