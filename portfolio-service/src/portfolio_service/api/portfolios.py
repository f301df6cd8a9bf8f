"""What a user has: portfolios, holdings, positions, profit, statement."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from portfolio_service.api.edge import Ctx, answer, fingerprint, id_in_path, once_answer
from portfolio_service.documents import (
    exposure_document,
    holdings_documents,
    line_document,
    pnl_document,
    portfolio_document,
    position_document,
)
from portfolio_service.domain.valuation import total
from portfolio_service.schemas import ExposureOut, HoldingOut, LineOut, PnlOut, PortfolioIn, PortfolioOut, PositionOut
from portfolio_service.store import reports
from portfolio_service.usecases import portfolios
from portfolio_service.usecases.once import act_once
from saras_common import jsonio
from saras_common.clock import trading_day
from saras_common.schemas import Limit, Page, decode_cursor, encode_cursor
from saras_common.web import CurrentUser, IdempotencyKey, StrictRoute

router = APIRouter(route_class=StrictRoute, tags=["portfolios"])


@router.get("/portfolios", response_model=Page[PortfolioOut])
def list_portfolios(
    caller: CurrentUser, ctx: Ctx, limit: Annotated[Limit, Query()] = 50, cursor: str | None = None
) -> Response:
    """My portfolios, the default one first."""
    position = decode_cursor(cursor, int)
    start = position[0] if position and position[0] > 0 else 0
    with ctx.database.for_users(caller.user_id) as session:
        views = portfolios.list_portfolios(session, caller.user_id, now=ctx.clock.now(), new_id=ctx.new_id)
    end = start + limit
    next_cursor = encode_cursor(end) if end < len(views) else None
    return answer({"items": [portfolio_document(view) for view in views[start:end]], "next_cursor": next_cursor})


@router.post("/portfolio", status_code=201, response_model=PortfolioOut)
def create_portfolio(body: PortfolioIn, caller: CurrentUser, ctx: Ctx, key: IdempotencyKey = None) -> Response:
    """A new portfolio."""
    now = ctx.clock.now()

    def create() -> bytes:
        view = portfolios.create_portfolio(
            session, caller.user_id, body.name, body.benchmark, now=now, new_id=ctx.new_id
        )
        return jsonio.dumps(portfolio_document(view))

    with ctx.database.for_users(caller.user_id) as session:
        mark = fingerprint("portfolio", body.model_dump_json().encode())
        done = act_once(session, caller.user_id, key, mark, create, now=now, new_id=ctx.new_id)
    return once_answer(done, 201)


@router.get("/portfolio", response_model=PortfolioOut)
def get_default_portfolio(caller: CurrentUser, ctx: Ctx) -> Response:
    """My default portfolio."""
    with ctx.database.for_users(caller.user_id) as session:
        view = portfolios.get_portfolio(session, caller.user_id, None, now=ctx.clock.now(), new_id=ctx.new_id)
    return answer(portfolio_document(view))


@router.get("/portfolios/{portfolio_id}", response_model=PortfolioOut)
def get_portfolio(portfolio_id: str, caller: CurrentUser, ctx: Ctx) -> Response:
    """One of my portfolios."""
    wanted = id_in_path(portfolio_id)
    with ctx.database.for_users(caller.user_id) as session:
        view = portfolios.get_portfolio(session, caller.user_id, wanted, now=ctx.clock.now(), new_id=ctx.new_id)
    return answer(portfolio_document(view))


@router.get("/holdings", response_model=Page[HoldingOut])
def list_holdings(caller: CurrentUser, ctx: Ctx) -> Response:
    """Shares held for delivery, all portfolios together."""
    with ctx.database.for_users(caller.user_id) as session:
        shelves = reports.list_shelves(session, caller.user_id)
    delivery = [shelf for shelf in shelves if shelf.product == "CNC"]
    return answer({"items": holdings_documents(delivery), "next_cursor": None})


@router.get("/positions", response_model=Page[PositionOut])
def list_positions(caller: CurrentUser, ctx: Ctx) -> Response:
    """Every shelf that holds something or was traded today."""
    today = trading_day(ctx.clock.now())
    with ctx.database.for_users(caller.user_id) as session:
        shelves = reports.list_shelves(session, caller.user_id)
    shown = [shelf for shelf in shelves if shelf.quantity or shelf.traded_on(today)]
    return answer({"items": [position_document(shelf, today) for shelf in shown], "next_cursor": None})


@router.get("/pnl", response_model=PnlOut)
def get_pnl(caller: CurrentUser, ctx: Ctx) -> Response:
    """Profit by average cost and by FIFO, and charges."""
    today = trading_day(ctx.clock.now())
    with ctx.database.for_users(caller.user_id) as session:
        shelves = reports.list_shelves(session, caller.user_id)
    return answer(pnl_document(total(shelves, today), shelves, today))


@router.get("/exposure", response_model=ExposureOut)
def get_exposure(caller: CurrentUser, ctx: Ctx) -> Response:
    """How what I have is spread."""
    today = trading_day(ctx.clock.now())
    with ctx.database.for_users(caller.user_id) as session:
        shelves = reports.list_shelves(session, caller.user_id)
        funds = reports.get_funds(session, caller.user_id)
    return answer(exposure_document(*funds, total(shelves, today), shelves))


@router.get("/transactions", response_model=Page[LineOut])
def list_transactions(
    caller: CurrentUser, ctx: Ctx, limit: Annotated[Limit, Query()] = 50, cursor: str | None = None
) -> Response:
    """My statement, newest first: every rupee and every share, with the balance of its asset after it."""
    with ctx.database.for_users(caller.user_id) as session:
        lines = reports.list_lines(session, caller.user_id, _before(cursor), limit + 1)
    return _page([line_document(line) for line in lines], limit)


def _before(cursor: str | None) -> int:
    position = decode_cursor(cursor, int)
    return reports.NEWEST if position is None else min(int(position[0]), reports.NEWEST)


def _page(documents: list[dict[str, Any]], limit: int) -> Response:
    page, more = documents[:limit], len(documents) > limit
    return answer({"items": page, "next_cursor": encode_cursor(int(page[-1]["id"])) if more else None})
