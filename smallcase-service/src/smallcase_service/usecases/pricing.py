"""A basket on today's prices: what is known of its shares, its minimum, whether it can be traded."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy.orm import Session

from smallcase_service.domain import sizing, validation
from smallcase_service.domain.planning import Market
from smallcase_service.domain.pricing import ORDER_SLACK_PAISE, Quoted, charge_rate
from smallcase_service.domain.refusals import PriceUnknown, SmallcaseInvalid
from smallcase_service.domain.sizing import Ints, Minimum
from smallcase_service.domain.validation import Issue, Seen
from smallcase_service.domain.weights import UNIT
from smallcase_service.store import market
from smallcase_service.store.market import Known
from smallcase_service.usecases.context import Context


@dataclass(frozen=True, slots=True)
class Board:
    """What is known of some shares."""

    known: Mapping[str, Known]
    turnovers: Mapping[str, Sequence[int]]

    def seen(self) -> dict[str, Seen]:
        """As validation looks at it."""
        return {
            name: Seen(
                is_listed=True,
                is_suspended=one.is_suspended,
                last_paise=one.last_paise,
                priced_at=one.priced_at,
                turnovers_paise=self.turnovers.get(name, ()),
            )
            for name, one in self.known.items()
        }

    def price(self, name: str) -> int | None:
        """Last price in paise, if there is one."""
        one = self.known.get(name)
        return None if one is None else one.last_paise

    def quoted(self, name: str) -> Quoted:
        """The price of a share; `PriceUnknown` names one without."""
        one = self.known.get(name)
        if one is None or one.last_paise is None:
            raise PriceUnknown(f"{name} has no price yet", errors=[{"field": name, "message": "has no price yet"}])
        return Quoted(name, one.last_paise, one.tick_paise)


def read_board(session: Session, names: Iterable[str]) -> Board:
    """What is known of ``names`` now."""
    wanted = set(names)
    return Board(market.list_known(session, wanted), market.list_turnovers(session, wanted))


def minimum_of(weights: Mapping[str, int], board: Board) -> Minimum | None:
    """The smallest basket, ``None`` while a price is missing."""
    prices = [board.price(name) for name in weights]
    if any(price is None for price in prices):
        return None
    return sizing.minimum([price for price in prices if price is not None], list(weights.values()))


def minimum_cost(ctx: Context, weights: Mapping[str, int], board: Board, least: Minimum) -> int:
    """Paise the smallest basket may cost: its shares at the worst of the protection band, and charges."""
    day = ctx.today()
    costs = [board.quoted(name).worst_cost(ctx.band_percent, day) for name in weights]
    return sum(quantity * cost + ORDER_SLACK_PAISE for quantity, cost in zip(least.quantities, costs, strict=True))


def list_issues(ctx: Context, weights: Mapping[str, int], board: Board) -> list[Issue]:
    """Everything that is wrong with a basket now."""
    return validation.issues(weights, board.seen(), minimum_of(weights, board), ctx.limits, ctx.clock.now())


def require_tradable(ctx: Context, weights: Mapping[str, int], board: Board) -> None:
    """`SmallcaseInvalid` naming every error, if there is one."""
    errors = [issue for issue in list_issues(ctx, weights, board) if issue.severity == "error"]
    if errors:
        raise SmallcaseInvalid(
            "The smallcase cannot be traded now",
            errors=[
                {"field": issue.instrument or "constituents", "message": f"{issue.code}: {issue.message}"}
                for issue in errors
            ],
        )


def market_for(ctx: Context, names: Sequence[str], weights: Mapping[str, int], board: Board) -> Market:
    """The columns ``names`` of a plan: prices, worst costs, target weights."""
    day = ctx.today()
    quoted = [board.quoted(name) for name in names]
    return Market(
        np.array([one.last_paise for one in quoted], dtype=np.int64),
        np.array([one.worst_cost(ctx.band_percent, day) for one in quoted], dtype=np.int64),
        np.array([weights.get(name, 0) for name in names], dtype=np.int64),
        _ppm(ctx, "SELL"),
        _ppm(ctx, "BUY"),
    )


def holdings_matrix(holdings: Sequence[Mapping[str, int]], names: Sequence[str]) -> Ints:
    """Holders × ``names``."""
    return np.array([[held.get(name, 0) for name in names] for held in holdings], dtype=np.int64).reshape(
        len(holdings), len(names)
    )


def _ppm(ctx: Context, side: str) -> int:
    rate = charge_rate("NSE", side, ctx.today()) * UNIT
    return -(-rate.numerator // rate.denominator)
