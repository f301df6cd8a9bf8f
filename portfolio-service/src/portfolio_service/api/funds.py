"""Cash in and out."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response

from portfolio_service.api.edge import Ctx, answer, fingerprint, id_in_cursor, id_in_path, once_answer
from portfolio_service.documents import funds_document, movement_document
from portfolio_service.schemas import AmountIn, FundsOut, MovementOut
from portfolio_service.store import funds as stored
from portfolio_service.store import reports
from portfolio_service.usecases import funds
from portfolio_service.usecases.once import act_once
from saras_common import jsonio
from saras_common.schemas import Limit, Page, decode_cursor, encode_cursor
from saras_common.web import AdminUser, CurrentUser, IdempotencyKey, StrictRoute

router = APIRouter(route_class=StrictRoute, tags=["funds"])
admin = APIRouter(route_class=StrictRoute, prefix="/admin/funds", tags=["admin"])


@router.get("/funds", response_model=FundsOut)
def get_funds(caller: CurrentUser, ctx: Ctx) -> Response:
    """My cash: all of it, the part that is held, and what is free."""
    with ctx.database.for_users(caller.user_id) as session:
        return answer(funds_document(*reports.get_funds(session, caller.user_id)))


@router.post("/funds/deposit", status_code=201, response_model=MovementOut)
def deposit(body: AmountIn, caller: CurrentUser, ctx: Ctx, key: IdempotencyKey = None) -> Response:
    """Put cash in."""
    return _move(body, caller, ctx, key, "deposit")


@router.post("/funds/withdraw", status_code=201, response_model=MovementOut)
def withdraw(body: AmountIn, caller: CurrentUser, ctx: Ctx, key: IdempotencyKey = None) -> Response:
    """Take cash out."""
    return _move(body, caller, ctx, key, "withdrawal")


def _move(
    body: AmountIn, caller: CurrentUser, ctx: Ctx, key: str | None, kind: Literal["deposit", "withdrawal"]
) -> Response:
    now = ctx.clock.now()
    verb = funds.deposit if kind == "deposit" else funds.withdraw

    def move() -> bytes:
        moved = verb(session, caller.user_id, body.amount, instant=ctx.is_sandbox, now=now, new_id=ctx.new_id)
        return jsonio.dumps(movement_document(moved))

    with ctx.database.for_users(caller.user_id) as session:
        mark = fingerprint(f"{kind} {body.amount}")
        done = act_once(session, caller.user_id, key, mark, move, now=now, new_id=ctx.new_id)
    return once_answer(done, 201)


@router.get("/funds/movements", response_model=Page[MovementOut])
def list_movements(
    caller: CurrentUser, ctx: Ctx, limit: Annotated[Limit, Query()] = 50, cursor: str | None = None
) -> Response:
    """My deposits and withdrawals, newest first."""
    before = id_in_cursor(decode_cursor(cursor, str))
    with ctx.database.for_users(caller.user_id) as session:
        rows = stored.list_movements(session, caller.user_id, status=None, before=before, limit=limit + 1)
        return _page(rows, limit)


@admin.get("", response_model=Page[MovementOut])
def list_all_movements(
    _caller: AdminUser,
    ctx: Ctx,
    status: Literal["pending", "completed", "rejected"] | None = None,
    limit: Annotated[Limit, Query()] = 50,
    cursor: str | None = None,
) -> Response:
    """Everybody's deposits and withdrawals, newest first."""
    before = id_in_cursor(decode_cursor(cursor, str))
    with ctx.database.for_service() as session:
        rows = stored.list_movements(session, None, status=status, before=before, limit=limit + 1)
        return _page(rows, limit)


@admin.post("/{movement_id}/approve", response_model=MovementOut)
def approve(movement_id: str, caller: AdminUser, ctx: Ctx) -> Response:
    """Let a pending movement happen."""
    with ctx.database.for_service() as session:
        moved = funds.approve(session, id_in_path(movement_id), by=caller.user_id, now=ctx.clock.now())
        return answer(movement_document(moved))


@admin.post("/{movement_id}/reject", response_model=MovementOut)
def reject(movement_id: str, caller: AdminUser, ctx: Ctx) -> Response:
    """Refuse a pending movement."""
    with ctx.database.for_service() as session:
        moved = funds.reject(
            session, id_in_path(movement_id), by=caller.user_id, now=ctx.clock.now(), new_id=ctx.new_id
        )
        return answer(movement_document(moved))


def _page(rows: stored.Movements, limit: int) -> Response:
    page, more = rows[:limit], len(rows) > limit
    return answer(
        {
            "items": [movement_document(row) for row in page],
            "next_cursor": encode_cursor(str(page[-1].id)) if more else None,
        }
    )
