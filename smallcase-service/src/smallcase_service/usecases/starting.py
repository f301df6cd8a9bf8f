"""Start runs: decide the orders, write them down. Placing them is the next step, and may be taken again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from uuid import UUID

import numpy as np
from sqlalchemy.orm import Session

from saras_common.errors import NotFound
from saras_common.money import round_half_up, rupees
from smallcase_service.domain.planning import plan_all_buys, plan_buys, plan_rebalance
from smallcase_service.domain.pricing import ORDER_SLACK_PAISE
from smallcase_service.domain.refusals import AmountTooLarge, AmountTooSmall, NothingHeld, NothingToDo, RunInProgress
from smallcase_service.domain.runs import SELL_ROUND, TOP_UP_ROUND, Kind, Leg, State, unfilled
from smallcase_service.domain.sizing import MAX_WORTH_PAISE, buys_for
from smallcase_service.domain.weights import UNIT
from smallcase_service.store import investments, runs, smallcases
from smallcase_service.store.investments import Investment
from smallcase_service.store.runs import Run
from smallcase_service.store.smallcases import Smallcase
from smallcase_service.usecases.composing import constituents_of, get_smallcase
from smallcase_service.usecases.context import Context
from smallcase_service.usecases.pricing import (
    Board,
    holdings_matrix,
    market_for,
    minimum_cost,
    minimum_of,
    read_board,
    require_tradable,
)


@dataclass(frozen=True, slots=True)
class Started:
    """A run as planned, with the prices it was planned on."""

    run: Run
    legs: list[Leg]
    board: Board


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of one user's basket. ``version``: the one to follow from now on."""

    kind: Kind
    legs: list[Leg]
    version: int
    budget_paise: int = 0
    is_full: bool = False
    is_adjusted: bool = False


def start_investing(
    session: Session, ctx: Context, user_id: UUID, smallcase_id: UUID, amount_paise: int, *, is_sip: bool = False
) -> Started:
    """Buy for at most ``amount_paise``, the first time or more of it. Nothing is ever sold."""
    smallcase = get_smallcase(session, smallcase_id, user_id)
    basket = _open(session, ctx, user_id, smallcase)
    held = investments.list_holdings(session, [basket.id]).get(basket.id, {})
    version = basket.version if held else smallcase.version
    wish, board = plan_investing(session, ctx, smallcase_id, version, held, amount_paise)
    kind = Kind.ADD if held else Kind.INVEST
    kind = Kind.SIP if is_sip else kind
    if version != basket.version:
        investments.follow(session, basket.id, version, ctx.clock.now())
    return _add(session, ctx, basket, Wish(kind, wish, version, amount_paise), board)


def plan_investing(
    session: Session, ctx: Context, smallcase_id: UUID, version: int, held: Mapping[str, int], amount_paise: int
) -> tuple[list[Leg], Board]:
    """The buys an amount pays for, and the prices they were planned on."""
    weights = {one.instrument: one.weight for one in constituents_of(session, smallcase_id, version)}
    board = read_board(session, weights)
    require_tradable(ctx, weights, board)
    least = minimum_of(weights, board)
    assert least is not None  # noqa: S101 - a tradable basket has prices
    least_cost = minimum_cost(ctx, weights, board, least)
    if not held and amount_paise < least_cost:
        raise AmountTooSmall(f"The minimum investment is ₹{rupees(least_cost)}")
    names = list(weights)
    market = market_for(ctx, names, weights, board)
    shares = holdings_matrix([held], names)
    if int((shares @ market.prices).sum()) + amount_paise > MAX_WORTH_PAISE:
        raise AmountTooLarge
    cash, slack = np.array([amount_paise], dtype=np.int64), ORDER_SLACK_PAISE * len(names)
    nothing = shares < 0
    buys, _ = plan_buys(shares, market, cash, nothing, is_full=True, slack=slack)
    if not held and not buys.all():  # the first time everything is bought, if only one share
        base = np.array([least.quantities], dtype=np.int64)
        buys = base + plan_buys(base, market, cash - base @ market.costs, nothing, is_full=True, slack=slack)[0]
    legs = _legs(1, "BUY", names, buys[0])
    if not legs:
        raise AmountTooSmall("The amount does not buy one share the basket is short of")
    return legs, board


def plan_top_up(
    session: Session,
    ctx: Context,
    smallcase_id: UUID,
    version: int,
    held: Mapping[str, int],
    legs: Sequence[Leg],
    amount_paise: int,
    board: Board,
) -> list[Leg]:
    """What the amount should buy later with what the band does not take, if ``legs`` are bought at last prices."""
    weights = {one.instrument: one.weight for one in constituents_of(session, smallcase_id, version)}
    names = list(weights)
    market = market_for(ctx, names, weights, board)
    bought = holdings_matrix([{leg.instrument: leg.quantity for leg in legs}], names)
    values = bought @ market.prices
    left = amount_paise - values + -values * market.buy_ppm // UNIT - ORDER_SLACK_PAISE * len(names)
    shares = holdings_matrix([held], names) + bought
    buys, _ = plan_all_buys(shares, market, np.maximum(left, 0), shares < 0)
    return _legs(TOP_UP_ROUND, "BUY", names, buys[0])


def start_exiting(session: Session, ctx: Context, user_id: UUID, smallcase_id: UUID, fraction: Fraction) -> Started:
    """Sell that part of every holding, to the nearest share; all of it for 1."""
    basket = _own(session, user_id, smallcase_id)
    held = investments.list_holdings(session, [basket.id]).get(basket.id, {})
    legs = plan_exiting(held, fraction)
    return _add(session, ctx, basket, Wish(Kind.EXIT, legs, basket.version), read_board(session, held))


def plan_exiting(held: Mapping[str, int], fraction: Fraction) -> list[Leg]:
    """The sells of a part of a basket."""
    if not held:
        raise NothingHeld
    sells = {
        name: round_half_up(quantity * fraction.numerator, fraction.denominator) for name, quantity in held.items()
    }
    legs = [Leg(SELL_ROUND, name, "SELL", quantity) for name, quantity in sells.items() if quantity]
    if not legs:
        raise NothingToDo("That part of the basket is less than one share of anything")
    return legs


def start_rebalancing(
    session: Session, ctx: Context, user_id: UUID, smallcase_id: UUID, *, is_full: bool = False
) -> Started:
    """To the latest version's weights: sells first; the buys follow from what they bring."""
    basket = _own(session, user_id, smallcase_id)
    smallcase = get_smallcase(session, smallcase_id, user_id, with_deleted=True)
    held = investments.list_holdings(session, [basket.id]).get(basket.id, {})
    version = basket.version if smallcase.deleted_at is not None else smallcase.version
    sells, _buys, is_adjusted, board = plan_rebalancing(session, ctx, smallcase_id, version, held, is_full=is_full)
    if not sells and version == basket.version:
        raise NothingToDo
    investments.take_offer(session, basket.id, ctx.clock.now())
    wish = Wish(Kind.REBALANCE, sells, version, is_full=is_full, is_adjusted=is_adjusted)
    return _add(session, ctx, basket, wish, board)


def plan_rebalancing(
    session: Session, ctx: Context, smallcase_id: UUID, version: int, held: Mapping[str, int], *, is_full: bool
) -> tuple[list[Leg], list[Leg], bool, Board]:
    """Sells, the buys they should pay for, whether small orders were left out, and the prices."""
    if not held:
        raise NothingHeld
    weights = {one.instrument: one.weight for one in constituents_of(session, smallcase_id, version)}
    names = [*weights, *(name for name in held if name not in weights)]
    board = read_board(session, names)
    require_tradable(ctx, weights, board)
    plan = plan_rebalance(holdings_matrix([held], names), market_for(ctx, names, weights, board), is_full=is_full)
    sells = _legs(SELL_ROUND, "SELL", names, plan.sells[0])
    buys = _legs(1, "BUY", names, plan.buys[0])
    return sells, buys, bool(plan.skipped.any()), board


def start_repairing(session: Session, ctx: Context, user_id: UUID, smallcase_id: UUID) -> Started:
    """Once more the legs of the last run that did not fill, at today's prices, within what that run left."""
    basket = _own(session, user_id, smallcase_id)
    held = investments.list_holdings(session, [basket.id]).get(basket.id, {})
    last = runs.list_latest(session, [basket.id]).get(basket.id)
    legs, board, budget = plan_repairing(session, ctx, last, held)
    version = basket.version if last is None else last.version
    return _add(session, ctx, basket, Wish(Kind.REPAIR, legs, version, budget), board)


def plan_repairing(
    session: Session, ctx: Context, last: Run | None, held: Mapping[str, int]
) -> tuple[list[Leg], Board, int]:
    """The legs to try again now, the prices, and what may be spent. Sells come first, alone."""
    missing = {} if last is None else unfilled(runs.list_legs(session, [last.id]).get(last.id, []))
    if last is None or not missing:
        raise NothingToDo
    board = read_board(session, missing)
    sells = [
        Leg(SELL_ROUND, name, "SELL", min(quantity, held[name]))
        for name, (side, quantity) in missing.items()
        if side == "SELL" and held.get(name)
    ]
    if sells:
        return sells, board, last.unspent_paise
    legs = missing_buys(session, ctx, last, missing, last.unspent_paise, board)
    if not legs:
        raise NothingToDo("What the last run left does not buy one of the missing shares")
    return legs, board, last.unspent_paise


def missing_buys(
    session: Session,
    ctx: Context,
    run: Run,
    missing: Mapping[str, tuple[str, int]],
    budget_paise: int,
    board: Board,
) -> list[Leg]:
    """The missing buys again: at most the shares that were missing, for at most ``budget_paise``."""
    weights = {one.instrument: one.weight for one in constituents_of(session, run.smallcase_id, run.version)}
    names = [name for name, (side, _) in missing.items() if side == "BUY" and name in weights]
    if not names:
        return []
    require_tradable(ctx, {name: weights[name] for name in names}, board)
    market = market_for(ctx, names, weights, board)
    allowed = np.array([[missing[name][1] for name in names]], dtype=np.int64)
    budget = np.array([max(budget_paise - ORDER_SLACK_PAISE * len(names), 0)], dtype=np.int64)
    # the missing legs alone: each is as far under target as what it lacks is worth
    wanted = np.maximum(allowed[0] * market.prices, 1)
    scaled = wanted * 1_000_000 // wanted.sum()
    buys = buys_for(np.zeros_like(allowed), market.prices, market.costs, scaled, budget, allowed)
    return _legs(1, "BUY", names, buys[0])


def _own(session: Session, user_id: UUID, smallcase_id: UUID) -> Investment:
    """The user's basket, locked and with no run on it."""
    basket = investments.lock_own(session, user_id, smallcase_id)
    if basket is None:
        if smallcases.find(session, smallcase_id, user_id) is None:
            raise NotFound
        raise NothingHeld
    return _idle(session, basket)


def _open(session: Session, ctx: Context, user_id: UUID, smallcase: Smallcase) -> Investment:
    basket = investments.open_for(session, user_id, smallcase.id, smallcase.version, ctx.new_id(), ctx.clock.now())
    return _idle(session, basket)


def _idle(session: Session, basket: Investment) -> Investment:
    if runs.has_active(session, basket.id):
        raise RunInProgress
    return basket


def _legs(round_number: int, side: str, names: Sequence[str], quantities: Sequence[int]) -> list[Leg]:
    return [
        Leg(round_number, name, side, int(quantity))
        for name, quantity in zip(names, quantities, strict=True)
        if quantity
    ]


def _add(session: Session, ctx: Context, basket: Investment, wish: Wish, board: Board) -> Started:
    now = ctx.clock.now()
    run = Run(
        id=ctx.new_id(),
        investment_id=basket.id,
        user_id=basket.user_id,
        smallcase_id=basket.smallcase_id,
        kind=wish.kind,
        state=State.QUEUED,
        reason=None,
        version=wish.version,
        budget_paise=wish.budget_paise,
        is_full=wish.is_full,
        is_adjusted=wish.is_adjusted,
        round=wish.legs[0].round if wish.legs else SELL_ROUND,
        attempt=0,
        is_placed=not wish.legs,
        spent_paise=0,
        received_paise=0,
        unspent_paise=wish.budget_paise,
        created_at=now,
        looked_at=now,
        ended_at=None,
    )
    runs.add(session, run)
    runs.add_legs(session, [(run, leg) for leg in wish.legs])
    return Started(run, wish.legs, board)
