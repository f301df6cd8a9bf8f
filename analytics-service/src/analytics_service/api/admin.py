"""An administrator's things: closes, rejected trades, replays, imports."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response

from analytics_service.api.edge import Ctx, answer, id_in_cursor, id_in_path
from analytics_service.documents import rejected_document
from analytics_service.domain.tax import Action, ActionKind
from analytics_service.schemas import (
    CloseIn,
    CloseOut,
    CorporateActionsIn,
    CorrectionsIn,
    CountOut,
    ImportedOut,
    ManyFactsIn,
    RejectedOut,
    UserFiguresOut,
)
from analytics_service.store import trades as stored
from analytics_service.store import valuations
from analytics_service.usecases import closes, history, reports, trades
from saras_common.clock import trading_day
from saras_common.errors import Conflict, InvalidInput
from saras_common.events import InstrumentFacts
from saras_common.schemas import InstrumentName, Limit, Page, encode_cursor
from saras_common.web import AdminUser, StrictRoute

router = APIRouter(route_class=StrictRoute, prefix="/admin", tags=["admin"])

MOST_DAYS_AWAY = 3660
"""How far from today a close by hand may be: a series has a row for each session from the first close to the last."""


class SandboxOnly(Conflict):
    """Time is simulated nowhere else."""

    code, title = "sandbox_only", "Only the sandbox closes another day than today"


async def _body(request: Request) -> bytes:
    return await request.body()


@router.get("/analytics", response_model=Page[UserFiguresOut])
def list_figures(
    _admin: AdminUser, ctx: Ctx, limit: Annotated[Limit, Query()] = 50, cursor: str | None = None
) -> Response:
    """Everybody's figures at their last close."""
    with ctx.database.for_service() as session:
        found = list(valuations.list_metrics(session, id_in_cursor(cursor), limit + 1))
    items = [{"user_id": user_id, "day": day, "figures": figures} for user_id, day, figures in found[:limit]]
    return _page(items, "user_id", len(found) > limit)


@router.post("/analytics/close", response_model=CloseOut)
def close_day(body: CloseIn, _admin: AdminUser, ctx: Ctx) -> Response:
    """Take the snapshot of a day now: values, holdings, flows and figures of everybody."""
    today = trading_day(ctx.clock.now())
    day = body.day or today
    if day != today and not ctx.rules.is_sandbox:
        raise SandboxOnly
    if abs((day - today).days) > MOST_DAYS_AWAY:
        raise InvalidInput(errors=[{"field": "day", "message": "is more than ten years away"}])
    close = closes.take_close(ctx, day)
    reports.schedule(ctx, day)
    return answer(close._asdict())


@router.get("/trades/rejected", response_model=Page[RejectedOut])
def list_rejected(
    _admin: AdminUser,
    ctx: Ctx,
    limit: Annotated[Limit, Query()] = 50,
    cursor: str | None = None,
    status: Literal["open", "replayed"] | None = None,
) -> Response:
    """Trades that did not pass, oldest first."""
    with ctx.database.for_service() as session:
        found = stored.list_rejected(session, status, id_in_cursor(cursor), limit + 1)
    return _page([rejected_document(row) for row in found[:limit]], "id", len(found) > limit)


@router.post("/trades/rejected/{rejected_id}/replay", response_model=RejectedOut)
def replay_rejected(rejected_id: str, body: CorrectionsIn, admin: AdminUser, ctx: Ctx) -> Response:
    """Try a rejected trade again, corrected; what was told and what was changed are both kept."""
    wanted = id_in_path(rejected_id)
    corrections = body.model_dump(exclude_none=True)
    with ctx.database.for_service() as session:
        row = trades.replay_rejected(
            session,
            wanted,
            corrections,
            by=admin.user_id,
            band_percent=ctx.rules.price_band_percent,
            now=ctx.clock.now(),
        )
    return answer(rejected_document(row))


@router.post("/trades/rebuild", response_model=CountOut)
def rebuild(_admin: AdminUser, ctx: Ctx) -> Response:
    """Make every derived row again from the whole store; the number of trades replayed."""
    with ctx.database.for_service() as session:
        count = trades.rebuild(session)
    return answer({"count": count})


@router.post("/history/prices", response_model=ImportedOut)
def import_prices(
    _admin: AdminUser,
    ctx: Ctx,
    content: Annotated[bytes, Depends(_body)],
    instrument: Annotated[InstrumentName | None, Query()] = None,
    exchange: Literal["NSE", "BSE"] = "NSE",
) -> Response:
    """Take in a file of daily prices as traded: Kite's candles (JSON or CSV), a bhavcopy, or any CSV with a header.

    ``instrument`` where the file names none, ``exchange`` where it only has symbols. All of the file or none.
    """
    prices = history.read_prices(content, instrument=instrument, exchange=exchange)
    with ctx.database.for_service() as session:
        imported = history.import_prices(session, ctx.outbox, prices, ctx.clock.now())
    return answer(
        {
            "days": imported.days,
            "instruments": imported.instruments,
            "first_on": imported.first_on,
            "last_on": imported.last_on,
        }
    )


@router.post("/history/corporate-actions", response_model=CountOut)
def import_actions(body: CorporateActionsIn, _admin: AdminUser, ctx: Ctx) -> Response:
    """Record splits and bonuses, new or corrected."""
    actions = [Action(one.instrument, one.ex_day, one.ratio, ActionKind(one.kind)) for one in body.actions]
    with ctx.database.for_service() as session:
        history.record_actions(session, ctx.outbox, actions, ctx.clock.now())
    return answer({"count": len(actions)})


@router.post("/history/facts", response_model=CountOut)
def import_facts(body: ManyFactsIn, _admin: AdminUser, ctx: Ctx) -> Response:
    """Record sectors and issued shares; the number of instruments they are new for."""
    facts = [InstrumentFacts(**fact.model_dump()) for fact in body.facts]
    with ctx.database.for_service() as session:
        count = history.record_facts(session, ctx.outbox, facts, ctx.clock.now())
    return answer({"count": count})


def _page(items: list[dict[str, Any]], key: str, has_more: bool) -> Response:
    return answer({"items": items, "next_cursor": encode_cursor(str(items[-1][key])) if has_more else None})
