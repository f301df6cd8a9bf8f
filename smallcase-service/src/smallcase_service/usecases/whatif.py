"""The manager's what-if: what a version would set off, over all subscribers, before it is published."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import numpy as np

from saras_common.errors import NotFound
from smallcase_service.domain.planning import Market, Plan, plan_rebalance
from smallcase_service.domain.pricing import charges_of
from smallcase_service.domain.proposals import Proposal, difference
from smallcase_service.domain.sizing import Ints
from smallcase_service.domain.validation import Issue
from smallcase_service.store import investments, smallcases
from smallcase_service.usecases.composing import constituents_of, weigh
from smallcase_service.usecases.context import Context
from smallcase_service.usecases.pricing import (
    Board,
    holdings_matrix,
    list_issues,
    market_for,
    minimum_cost,
    minimum_of,
    read_board,
)

AT_ONCE = 10_000
ORDERS_A_SECOND = 10
"""What the broker takes from one account."""


@dataclass(slots=True)
class Effects:
    """Sums over subscribers. Values in paise by (instrument, side); a pair is one broker order when consolidated."""

    subscribers: int = 0
    traded: int = 0
    orders: int = 0
    below_minimum: int = 0
    worth_paise: int = 0
    values: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def broker_orders(self) -> int:
        """One an instrument and side."""
        return sum(1 for value in self.values.values() if value)

    def turnover(self, side: str) -> int:
        """Paise sold or bought in all."""
        return sum(value for (_, of), value in self.values.items() if of == side)


@dataclass(frozen=True, slots=True)
class WhatIf:
    """A proposed version, its weights, and its effects if every subscriber agreed."""

    weights: Mapping[str, int]
    diff: Mapping[str, object]
    board: Board
    effects: Effects
    charges_paise: int
    minimum_paise: int | None
    issues: Sequence[Issue]


def what_if(ctx: Context, owner_id: UUID, smallcase_id: UUID, proposal: Proposal) -> WhatIf:
    """Plan every subscriber's rebalance to the proposal on the last prices. Only its manager may ask."""
    with ctx.database.for_users(owner_id) as session:
        found = smallcases.find(session, smallcase_id, owner_id)
        if found is None or found.owner_id != owner_id or found.deleted_at is not None:
            raise NotFound
        before = {one.instrument: one.weight for one in constituents_of(session, smallcase_id, found.version)}
        weights = weigh(session, ctx, proposal, read_board(session, proposal.names))
    effects, after, board = Effects(), None, None
    while True:
        with ctx.database.for_service() as session:
            page = investments.list_held(session, smallcase_id=smallcase_id, after=after, limit=AT_ONCE)
            held = investments.list_holdings(session, [one.id for one in page])
            names = [*weights, *sorted({name for some in held.values() for name in some} - weights.keys())]
            board = read_board(session, names)
        least = minimum_of(weights, board)
        least_cost = None if least is None else minimum_cost(ctx, weights, board, least)
        if page:
            shares = holdings_matrix([held.get(one.id, {}) for one in page], names)
            market = market_for(ctx, names, weights, board)
            add_effects(effects, names, shares, market, plan_rebalance(shares, market), least_cost or 0)
        if len(page) < AT_ONCE:
            break
        after = page[-1].id
    return WhatIf(
        weights,
        difference(before, weights),
        board,
        effects,
        charges_of(effects.values, ctx.today()),
        least_cost,
        list_issues(ctx, weights, board),
    )


def add_effects(
    effects: Effects, names: list[str], shares: Ints, market: Market, plan: Plan, minimum_paise: int
) -> None:
    """Add one page of subscribers to the sums."""
    worth = shares @ market.prices
    effects.subscribers += len(shares)
    effects.traded += int(((plan.sells > 0) | (plan.buys > 0)).any(axis=1).sum())
    effects.orders += int((plan.sells > 0).sum() + (plan.buys > 0).sum())
    effects.below_minimum += int((worth < minimum_paise).sum())
    effects.worth_paise += int(worth.sum())
    for side, quantities in (("SELL", plan.sells), ("BUY", plan.buys)):
        totals = quantities.sum(axis=0) * market.prices
        for n in np.flatnonzero(totals):
            effects.values[names[n], side] += int(totals[n])
