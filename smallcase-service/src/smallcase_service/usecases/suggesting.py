"""Suggestions: baskets for an amount, a risk level and exclusions, from the instruments' own past."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from smallcase_service.domain.figures import LEAST, WINDOW, Figures, figures
from smallcase_service.domain.refusals import HistoryTooShort
from smallcase_service.domain.suggesting import MOST, SUITABLE, WHY, Method, Risk, candidate_weights
from smallcase_service.domain.weights import MIN_CONSTITUENTS
from smallcase_service.store import market
from smallcase_service.suggestions import optimise
from smallcase_service.usecases.composing import HISTORY, closes_of
from smallcase_service.usecases.context import Context
from smallcase_service.usecases.pricing import Board, minimum_cost, minimum_of, read_board

UNIVERSE = 100
"""Instruments looked at; a covariance of more from a year of days says little."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A basket that could be made: weights in parts of a million, what it costs at least, and why."""

    method: Method
    weights: Mapping[str, int]
    minimum_paise: int
    figures: Figures
    why: list[str]


@dataclass(frozen=True, slots=True)
class Suggested:
    """Proposals, how many sessions they rest on, and what to know about that."""

    proposals: list[Suggestion]
    sessions: int
    universe: int
    caution: str | None


def suggest(
    ctx: Context,
    user_id: UUID,
    amount_paise: int,
    risk: Risk,
    *,
    exclude: Collection[str],
    exclude_sectors: Collection[str],
) -> Suggested:
    """Baskets the amount can buy; `HistoryTooShort` when fewer than two shares have a past to speak of."""
    with ctx.database.for_users(user_id) as session:
        since = ctx.today() - HISTORY
        names = market.list_with_history(session, since, LEAST)
        board = read_board(session, names)
        sectors = {sector.casefold() for sector in exclude_sectors}
        usable = [
            name
            for name in names
            if name in board.known and name not in exclude and _is_usable(board, name, sectors, amount_paise)
        ][:UNIVERSE]
        closes = closes_of(session, usable, since)
    sessions = len(set.intersection(*(set(days) for days in closes.values()))) - 1 if closes else 0
    if len(usable) < MIN_CONSTITUENTS or sessions < LEAST:
        raise HistoryTooShort(
            f"{len(usable)} affordable shares share {max(sessions, 0)} daily returns; two shares and {LEAST} are needed"
        )
    raw = optimise(SUITABLE[risk], closes)
    proposals = [
        found
        for method in SUITABLE[risk]
        if method in raw and (found := _affordable(ctx, method, raw[method], board, closes, amount_paise)) is not None
    ]
    caution = None if sessions >= WINDOW else f"only {sessions} daily returns are known: take figures with much salt"
    return Suggested(proposals, sessions, len(usable), caution)


def _is_usable(board: Board, name: str, sectors: Collection[str], amount_paise: int) -> bool:
    one = board.known[name]
    is_excluded = one.sector is not None and one.sector.casefold() in sectors
    return not (is_excluded or one.is_suspended or one.last_paise is None or one.last_paise * 2 > amount_paise)


def _affordable(
    ctx: Context,
    method: Method,
    raw: Mapping[str, float],
    board: Board,
    closes: Mapping[str, Mapping[date, float]],
    amount_paise: int,
) -> Suggestion | None:
    """The method's basket with as many constituents as the amount can buy in their weights."""
    for most in range(MOST, MIN_CONSTITUENTS - 1, -1):
        weights = candidate_weights(raw, most)
        least = None if weights is None else minimum_of(weights, board)
        if weights is None or least is None:
            return None
        cost = minimum_cost(ctx, weights, board, least)
        if cost <= amount_paise:
            why = [WHY[method], f"{len(weights)} shares, the most the amount can buy in these weights"]
            return Suggestion(method, weights, cost, figures(weights, closes), why)
    return None
