"""What people see: smallcases with their figures, baskets with their holdings, drift and returns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

import numpy as np
from sqlalchemy.orm import Session

from saras_common.clock import trading_day
from saras_common.errors import NotFound
from smallcase_service.domain import figures, index
from smallcase_service.domain.figures import Figures
from smallcase_service.domain.index import Composition
from smallcase_service.domain.planning import drifts, weights_of
from smallcase_service.domain.returns import Rate, xirr
from smallcase_service.domain.runs import Leg, unfilled
from smallcase_service.domain.sizing import Minimum
from smallcase_service.domain.validation import Issue
from smallcase_service.store import investments, runs, smallcases
from smallcase_service.store.investments import Investment, Offer
from smallcase_service.store.runs import Run
from smallcase_service.store.smallcases import Constituent, Smallcase
from smallcase_service.usecases.composing import HISTORY, closes_of, get_smallcase, live_level
from smallcase_service.usecases.context import Context
from smallcase_service.usecases.pricing import Board, holdings_matrix, list_issues, minimum_cost, minimum_of, read_board


@dataclass(frozen=True, slots=True)
class SmallcaseView:
    """A smallcase with everything worked out on today's prices."""

    smallcase: Smallcase
    constituents: Sequence[Constituent]
    board: Board
    least: Minimum | None
    minimum_paise: int | None
    index_level: float | None
    figures: Figures
    issues: Sequence[Issue]


@dataclass(frozen=True, slots=True)
class HoldingView:
    """Shares of one instrument in a basket; weights in parts of a million."""

    instrument: str
    quantity: int
    last_paise: int | None
    value_paise: int | None
    weight: int | None
    target: int


@dataclass(frozen=True, slots=True)
class InvestmentView:
    """A basket on today's prices. ``value_paise`` and what hangs on it is ``None`` while a price is missing."""

    investment: Investment
    smallcase: Smallcase
    holdings: Sequence[HoldingView]
    value_paise: int | None
    invested_paise: int
    drift: int | None
    rate: Rate
    run: Run | None
    missing: Mapping[str, tuple[str, int]]
    offer: Offer | None


def view_smallcases(session: Session, ctx: Context, found: Sequence[Smallcase]) -> list[SmallcaseView]:
    """Smallcases as they are shown; prices and history are read once for all."""
    of = smallcases.list_constituents(session, [(one.id, one.version) for one in found])
    parts = [of.get((one.id, one.version), []) for one in found]
    names = sorted({part.instrument for some in parts for part in some})
    board = read_board(session, names)
    closes = closes_of(session, names, ctx.today() - HISTORY)
    return [_view(ctx, one, some, board, closes) for one, some in zip(found, parts, strict=True)]


def view_smallcase(session: Session, ctx: Context, smallcase_id: UUID, user_id: UUID) -> SmallcaseView:
    """One of those the user may see."""
    return view_smallcases(session, ctx, [get_smallcase(session, smallcase_id, user_id)])[0]


def _view(
    ctx: Context, one: Smallcase, parts: Sequence[Constituent], board: Board, closes: figures.Closes
) -> SmallcaseView:
    weights = {part.instrument: part.weight for part in parts}
    least = minimum_of(weights, board)
    return SmallcaseView(
        one,
        parts,
        board,
        least,
        None if least is None else minimum_cost(ctx, weights, board, least),
        live_level(parts, board),
        figures.figures(weights, closes),
        list_issues(ctx, weights, board),
    )


def index_series(session: Session, ctx: Context, smallcase: Smallcase) -> list[tuple[date, float]]:
    """The index at every close since the first version, chained over versions."""
    versions = smallcases.list_versions(session, smallcase.id)
    of = smallcases.list_constituents(session, [(smallcase.id, row.version) for row in versions])
    compositions = [
        Composition(
            trading_day(row.created_at),
            {one.instrument: one.weight for one in of.get((smallcase.id, row.version), [])},
        )
        for row in versions
    ]
    latest: dict[date, Composition] = {}
    for one in reversed(compositions):  # of two versions on one day the later counts
        latest[one.since] = one
    names = {name for one in compositions for name in one.weights}
    first = min(latest, default=ctx.today())
    return index.series(list(latest.values()), closes_of(session, sorted(names), first))


def view_investments(session: Session, found: Sequence[Investment], today: date) -> list[InvestmentView]:
    """Baskets as their user sees them."""
    ids = [one.id for one in found]
    held = investments.list_holdings(session, ids)
    flows = investments.list_flows(session, ids)
    latest = runs.list_latest(session, ids)
    legs = runs.list_legs(session, [run.id for run in latest.values() if run.state.is_over])
    offers = investments.list_offers(session, ids)
    cases = smallcases.list_by_ids(session, {one.smallcase_id for one in found})
    targets = smallcases.list_constituents(session, [(one.smallcase_id, one.version) for one in found])
    names = {name for some in held.values() for name in some}
    board = read_board(session, names | {part.instrument for some in targets.values() for part in some})
    views = []
    for one in found:
        target = {part.instrument: part.weight for part in targets.get((one.smallcase_id, one.version), [])}
        rows, value, drift = _holdings(held.get(one.id, {}), target, board)
        own = flows.get(one.id, [])
        run = latest.get(one.id)
        views.append(
            InvestmentView(
                one,
                cases[one.smallcase_id],
                rows,
                value,
                -sum(amount for _, amount in own),
                drift,
                _rate(own, value, today),
                run,
                {} if run is None else unfilled(legs.get(run.id, [])),
                offers.get(one.id),
            )
        )
    return views


def view_investment(session: Session, ctx: Context, investment_id: UUID, user_id: UUID) -> InvestmentView:
    """One of the user's baskets."""
    found = investments.find(session, investment_id, user_id)
    if found is None:
        raise NotFound
    return view_investments(session, [found], ctx.today())[0]


def _rate(flows: list[tuple[date, int]], value: int | None, today: date) -> Rate:
    if value is None:
        return Rate(None, "a holding has no price")
    return xirr([*flows, (today, value)] if value else flows)


def _holdings(
    held: Mapping[str, int], target: Mapping[str, int], board: Board
) -> tuple[list[HoldingView], int | None, int | None]:
    """Rows, the basket's value and its drift; the last two ``None`` without all prices or without shares."""
    names = [*target, *(name for name in held if name not in target)]
    prices = [board.price(name) for name in names]
    known = np.array([price or 0 for price in prices], dtype=np.int64)
    shares = holdings_matrix([held], names)
    is_priced = all(price is not None or name not in held for name, price in zip(names, prices, strict=True))
    value = int((shares @ known)[0]) if is_priced else None
    weights = weights_of(shares, known)[0] if value else None
    goal = np.array([target.get(name, 0) for name in names], dtype=np.int64)
    drift = int(drifts(shares, known, goal, is_relative=False)[0]) if value else None
    rows = [
        HoldingView(
            name,
            held.get(name, 0),
            price,
            None if price is None else price * held.get(name, 0),
            None if weights is None else int(weights[n]),
            target.get(name, 0),
        )
        for n, (name, price) in enumerate(zip(names, prices, strict=True))
    ]
    return rows, value, drift


def view_run(session: Session, investment_id: UUID, run_id: UUID, user_id: UUID) -> tuple[Run, list[Leg]]:
    """One run of one of the user's baskets."""
    run = runs.find(session, run_id, user_id)
    if run is None or run.investment_id != investment_id:
        raise NotFound
    return run, runs.list_legs(session, [run.id]).get(run.id, [])


def view_runs(
    session: Session, investment_id: UUID, user_id: UUID, before: UUID | None, limit: int
) -> list[tuple[Run, list[Leg]]]:
    """Runs of one of the user's baskets, newest first."""
    if investments.find(session, investment_id, user_id) is None:
        raise NotFound
    found = runs.list_page(session, investment_id, user_id, before=before, limit=limit)
    legs = runs.list_legs(session, [run.id for run in found])
    return [(run, legs.get(run.id, [])) for run in found]
