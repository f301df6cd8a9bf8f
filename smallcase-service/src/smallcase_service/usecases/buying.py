"""What runs buy next: from what their sells brought and their earlier buys left, towards the target weights."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import numpy as np
from sqlalchemy.orm import Session

from saras_common.errors import SarasError
from smallcase_service.domain.planning import Bools, plan_buys, plan_closing
from smallcase_service.domain.pricing import ORDER_SLACK_PAISE
from smallcase_service.domain.refusals import PriceUnknown
from smallcase_service.domain.runs import CLOSING_ROUND, SELL_ROUND, TOP_UP_ROUND, Kind, Leg, Money, unfilled
from smallcase_service.domain.sizing import Ints
from smallcase_service.store import investments, runs, smallcases
from smallcase_service.store.runs import Run
from smallcase_service.usecases.context import Context
from smallcase_service.usecases.pricing import Board, holdings_matrix, market_for, read_board
from smallcase_service.usecases.starting import missing_buys

Legs = Mapping[UUID, list[Leg]]
Planned = list[tuple[Run, Leg]]


def next_buys(session: Session, ctx: Context, group: Sequence[Run], legs: Legs) -> Planned:
    """Buys of runs with one target, from what they have left: at the market, and at last prices to close with."""
    open_runs = [run for run in group if run.round < CLOSING_ROUND and not _fell_short(run, legs)]
    if not open_runs:
        return []
    target = (group[0].smallcase_id, group[0].version)
    weights = {one.instrument: one.weight for one in smallcases.list_constituents(session, [target])[target]}
    names = list(weights)
    board = read_board(session, names)
    try:
        market = market_for(ctx, names, weights, board)
    except PriceUnknown:
        return []
    held = investments.list_holdings(session, [run.investment_id for run in open_runs])
    shares = holdings_matrix([held.get(run.investment_id, {}) for run in open_runs], names)
    sold, begun = (_traded(open_runs, legs, names, side) for side in ("SELL", "BUY"))
    cash = np.array([_left(run, legs.get(run.id, [])) for run in open_runs], dtype=np.int64)
    slack = ORDER_SLACK_PAISE * len(names)
    planned: Planned = []
    for is_full in (True, False):
        rows = [row for row, run in enumerate(open_runs) if _is_full(run) == is_full]
        some, state = [open_runs[row] for row in rows], (shares[rows], market, cash[rows], sold[rows])
        buys, skipped = plan_buys(*state, is_full=is_full, begun=begun[rows], slack=slack)
        closing = plan_closing(*state, is_full=is_full, begun=begun[rows], slack=slack)
        for run, at_market, at_last, left_out in zip(some, buys, closing, skipped, strict=True):
            run.is_adjusted |= bool(left_out.any())
            goes_on = run.round < TOP_UP_ROUND and at_market.any()
            planned += _legs(run, names, at_market, None) if goes_on else _legs(run, names, at_last, board)
    return planned


def next_repair(session: Session, ctx: Context, run: Run, legs: Sequence[Leg]) -> Planned:
    """After a repair's sells: the buys the run before it missed."""
    before = runs.find_before(session, run)
    if before is None:
        return []
    missing = unfilled(runs.list_legs(session, [before.id]).get(before.id, []))
    board = read_board(session, missing)
    budget = run.budget_paise + Money.of(list(legs)).received_paise
    try:
        buys = missing_buys(session, ctx, run, missing, budget, board)
    except SarasError:
        return []
    return [(run, leg) for leg in buys]


def _is_full(run: Run) -> bool:
    """Only a rebalance leaves small orders out, unless it is to be a full one."""
    return run.is_full or run.kind != Kind.REBALANCE


def _traded(of: Sequence[Run], legs: Legs, names: Sequence[str], side: str) -> Bools:
    """What each run has sold, or bought, so far."""
    found: Bools = (
        holdings_matrix([{leg.instrument: 1 for leg in legs.get(run.id, []) if leg.side == side} for run in of], names)
        > 0
    )
    return found


def _legs(run: Run, names: Sequence[str], buys: Ints, limits: Board | None) -> Planned:
    """With ``limits`` at the last prices these have, or not at all."""
    return [
        (
            run,
            Leg(
                run.round + 1,
                name,
                "BUY",
                int(quantity),
                limit_paise=None if limits is None else limits.quoted(name).limit_paise,
            ),
        )
        for name, quantity in zip(names, buys, strict=True)
        if quantity
    ]


def _left(run: Run, legs: Sequence[Leg]) -> int:
    """Paise the run may still spend."""
    money = Money.of(list(legs))
    return max(run.budget_paise + money.received_paise - money.spent_paise, 0)


def _fell_short(run: Run, legs: Legs) -> bool:
    """Buys that did not fill are the user's to repair, not ours to chase."""
    return run.round > SELL_ROUND and any(leg.missing for leg in legs.get(run.id, []) if leg.round == run.round)
