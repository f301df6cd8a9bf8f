"""Trades: a user's executions here, and its own record of what it did elsewhere."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from portfolio_service.api.edge import Ctx, answer, fingerprint, id_in_cursor, once_answer
from portfolio_service.documents import trade_document
from portfolio_service.domain.trades import FIRST, Position
from portfolio_service.schemas import TradeIn, TradeOut
from portfolio_service.usecases import trades
from portfolio_service.usecases.once import act_once
from saras_common import jsonio
from saras_common.schemas import Limit, Page, decode_cursor, encode_cursor
from saras_common.web import CurrentUser, IdempotencyKey, StrictRoute

router = APIRouter(route_class=StrictRoute, tags=["portfolios"])


@router.post("/trades", status_code=201, response_model=TradeOut)
def record_trade(body: TradeIn, caller: CurrentUser, ctx: Ctx, key: IdempotencyKey = None) -> Response:
    """Record a trade done elsewhere. It changes no holding and no balance here."""
    now = ctx.clock.now()

    def record() -> bytes:
        trade = trades.record_trade(
            session,
            caller.user_id,
            body.instrument,
            body.side,
            body.quantity,
            body.price,
            body.traded_at,
            now=now,
            new_id=ctx.new_id,
        )
        return jsonio.dumps(trade_document(trade))

    with ctx.database.for_users(caller.user_id) as session:
        mark = fingerprint("trade", body.model_dump_json().encode())
        done = act_once(session, caller.user_id, key, mark, record, now=now, new_id=ctx.new_id)
    return once_answer(done, 201)


@router.get("/trades", response_model=Page[TradeOut])
def list_trades(
    caller: CurrentUser, ctx: Ctx, limit: Annotated[Limit, Query()] = 50, cursor: str | None = None
) -> Response:
    """My executions here and what I recorded of elsewhere, newest first."""
    with ctx.database.for_users(caller.user_id) as session:
        page, following = trades.list_trades(session, caller.user_id, _position(cursor), limit)
    next_cursor = None if following is None else encode_cursor(following.entry_id, str(following.recorded_id))
    return answer({"items": [trade_document(trade) for trade in page], "next_cursor": next_cursor})


def _position(cursor: str | None) -> Position:
    position = decode_cursor(cursor, int, str)
    if position is None:
        return FIRST
    return Position(min(position[0], FIRST.entry_id), id_in_cursor(position[1:]))
