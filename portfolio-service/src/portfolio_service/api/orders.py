"""Orders after acceptance."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from portfolio_service.api.edge import Ctx, answer, fingerprint, id_in_cursor, id_in_path, once_answer
from portfolio_service.domain.orders import Status
from portfolio_service.schemas import Instant, OrderOut, order_document
from portfolio_service.store import orders as stored
from portfolio_service.usecases import orders
from portfolio_service.usecases.once import act_once
from saras_common import jsonio
from saras_common.schemas import InstrumentName, Limit, Page, decode_cursor, encode_cursor
from saras_common.web import CurrentUser, IdempotencyKey, StrictRoute

router = APIRouter(route_class=StrictRoute, tags=["orders"])


@router.get("/orders", response_model=Page[OrderOut])
def list_orders(
    caller: CurrentUser,
    ctx: Ctx,
    status: Status | None = None,
    instrument: InstrumentName | None = None,
    since: Instant | None = None,
    limit: Annotated[Limit, Query()] = 50,
    cursor: str | None = None,
) -> Response:
    """My orders, newest first."""
    before = id_in_cursor(decode_cursor(cursor, str))
    with ctx.database.for_users(caller.user_id) as session:
        views = stored.list_page(
            session,
            caller.user_id,
            status=None if status is None else status.value,
            instrument=instrument,
            since=since,
            before=before,
            limit=limit + 1,
        )
    page, more = views[:limit], len(views) > limit
    return answer(
        {
            "items": [order_document(view) for view in page],
            "next_cursor": encode_cursor(page[-1].id) if more else None,
        }
    )


@router.get("/orders/{order_id}", response_model=OrderOut)
def get_order(order_id: str, caller: CurrentUser, ctx: Ctx) -> Response:
    """One of my orders."""
    with ctx.database.for_users(caller.user_id) as session:
        return answer(order_document(orders.get_order(session, caller.user_id, id_in_path(order_id))))


@router.delete("/orders/{order_id}", status_code=202, response_model=OrderOut)
def cancel_order(order_id: str, caller: CurrentUser, ctx: Ctx, key: IdempotencyKey = None) -> Response:
    """Ask for the rest of an order to be cancelled."""
    wanted, now = id_in_path(order_id), ctx.clock.now()

    def cancel() -> bytes:
        return jsonio.dumps(order_document(orders.request_cancel(session, caller.user_id, wanted, now=now)))

    with ctx.database.for_users(caller.user_id) as session:
        mark = fingerprint(f"cancel {wanted}")
        done = act_once(session, caller.user_id, key, mark, cancel, now=now, new_id=ctx.new_id)
    return once_answer(done, 202)
