"""What a run would do now: planned as the run itself would be, and nothing written."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from uuid import UUID

from sqlalchemy.orm import Session

from smallcase_service.domain.refusals import NothingHeld
from smallcase_service.domain.runs import Leg
from smallcase_service.store import investments, runs
from smallcase_service.store.investments import Investment
from smallcase_service.usecases.composing import get_smallcase
from smallcase_service.usecases.context import Context
from smallcase_service.usecases.pricing import Board, read_board
from smallcase_service.usecases.starting import (
    plan_exiting,
    plan_investing,
    plan_rebalancing,
    plan_repairing,
    plan_top_up,
)


@dataclass(frozen=True, slots=True)
class Preview:
    """Orders of a run that was not started, the prices they were planned on, and the cash they may use.

    ``top_up``: what it should buy afterwards with what these leave.
    """

    version: int
    legs: list[Leg]
    board: Board
    budget_paise: int
    top_up: Sequence[Leg] = ()


def preview_investing(session: Session, ctx: Context, user_id: UUID, smallcase_id: UUID, amount_paise: int) -> Preview:
    """What the amount would buy."""
    smallcase = get_smallcase(session, smallcase_id, user_id)
    basket, held = _basket(session, user_id, smallcase_id)
    version = basket.version if basket is not None and held else smallcase.version
    legs, board = plan_investing(session, ctx, smallcase_id, version, held, amount_paise)
    top_up = plan_top_up(session, ctx, smallcase_id, version, held, legs, amount_paise, board)
    return Preview(version, legs, board, amount_paise, top_up)


def preview_exiting(session: Session, user_id: UUID, smallcase_id: UUID, fraction: Fraction) -> Preview:
    """What would be sold."""
    get_smallcase(session, smallcase_id, user_id, with_deleted=True)
    basket, held = _basket(session, user_id, smallcase_id)
    legs = plan_exiting(held, fraction)
    return Preview(basket.version if basket is not None else 1, legs, read_board(session, held), 0)


def preview_rebalancing(session: Session, ctx: Context, user_id: UUID, smallcase_id: UUID, *, is_full: bool) -> Preview:
    """What would be sold, and what that should buy."""
    smallcase = get_smallcase(session, smallcase_id, user_id, with_deleted=True)
    basket, held = _basket(session, user_id, smallcase_id)
    if basket is None:
        raise NothingHeld
    version = basket.version if smallcase.deleted_at is not None else smallcase.version
    sells, buys, _, board = plan_rebalancing(session, ctx, smallcase_id, version, held, is_full=is_full)
    return Preview(
        version, [*sells, *buys], board, sum((board.price(leg.instrument) or 0) * leg.quantity for leg in sells)
    )


def preview_repairing(session: Session, ctx: Context, user_id: UUID, smallcase_id: UUID) -> Preview:
    """Which orders would be tried again."""
    get_smallcase(session, smallcase_id, user_id, with_deleted=True)
    basket, held = _basket(session, user_id, smallcase_id)
    if basket is None:
        raise NothingHeld
    last = runs.list_latest(session, [basket.id]).get(basket.id)
    legs, board, budget = plan_repairing(session, ctx, last, held)
    return Preview(basket.version, legs, board, budget)


def _basket(session: Session, user_id: UUID, smallcase_id: UUID) -> tuple[Investment | None, dict[str, int]]:
    basket = investments.lock_own(session, user_id, smallcase_id)
    return basket, {} if basket is None else investments.list_holdings(session, [basket.id]).get(basket.id, {})
