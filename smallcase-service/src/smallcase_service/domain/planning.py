"""Rebalancing, for thousands of holders at once: what to sell first, what it should bring, what to buy with it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from smallcase_service.domain.sizing import MAX_WORTH_PAISE, Ints, buys_for
from smallcase_service.domain.weights import UNIT

Bools = npt.NDArray[np.bool_]

SKIP_PAISE = 50_000
"""An order of up to ₹500 …"""
SKIP_SHARE = 100
"""… or up to a hundredth of the basket's worth is not worth placing for a constituent that stays."""


@dataclass(frozen=True, slots=True)
class Market:
    """Columns by constituent: last prices, worst costs of a bought share (paise), target weights (parts).

    A holding that is no constituent any more is a column of weight 0. ``charge_ppm``: what selling costs, in millionths
    of its value.
    """

    prices: Ints
    costs: Ints
    weights: Ints
    sell_ppm: int
    buy_ppm: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Shares by holder and constituent. ``buys`` is an estimate until the sells have brought what they bring."""

    sells: Ints
    buys: Ints
    skipped: Ints


def plan_rebalance(held: Ints, market: Market, cash: Ints | None = None, *, is_full: bool = False) -> Plan:
    """Sells towards the target, and the buys their expected proceeds (and ``cash``, by holder) would pay.

    Holders × constituents. Unless ``is_full``, an order of at most max(₹500, 1 % of worth) is skipped for a
    constituent that stays; an exit or a new entry never is.
    """
    sells, skipped = plan_sells(held, market, is_full=is_full)
    values = sells @ market.prices
    budgets = values - _ceil(values * market.sell_ppm, UNIT)
    if cash is not None:
        budgets = budgets + cash
    buys, unbought = plan_buys(held - sells, market, np.maximum(budgets, 0), sells > 0, is_full=is_full)
    return Plan(sells, buys, skipped | unbought)


def plan_sells(held: Ints, market: Market, *, is_full: bool) -> tuple[Ints, Ints]:
    """What is over target, down to the last whole share at or below it; and which were skipped (as 0 and 1).

    Rounding up instead would leave many holdings a little over, and a cheap one short of many shares for it.
    """
    worth = held @ market.prices
    if worth.size and int(worth.max()) > MAX_WORTH_PAISE:
        raise ValueError("a basket is worth more than can be planned exactly")
    over = np.maximum(held - _targets(worth, market), 0)
    turnover = over @ market.prices
    after = worth - _ceil(turnover * (market.sell_ppm + market.buy_ppm), UNIT)  # charges make the whole smaller
    sells = np.maximum(held - _targets(after, market), 0)
    if is_full:
        return sells, np.zeros_like(sells)
    skip = _small(sells * market.prices, worth) & (market.weights > 0)
    return np.where(skip, 0, sells), (skip & (sells > 0)).astype(np.int64)


def plan_buys(held: Ints, market: Market, budgets: Ints, sold: Bools, *, is_full: bool) -> tuple[Ints, Ints]:
    """What the budgets buy towards the target, nothing of what was just ``sold``; and which were skipped."""
    allowed = np.where(sold | (market.weights == 0), 0, np.iinfo(np.int64).max // 4)
    buys = buys_for(held, market.prices, market.costs, market.weights, budgets, allowed, charge_ppm=market.buy_ppm)
    if is_full:
        return buys, np.zeros_like(buys)
    worth = held @ market.prices + budgets
    skip = _small(buys * market.prices, worth) & (held > 0)
    return np.where(skip, 0, buys), (skip & (buys > 0)).astype(np.int64)


def weights_of(held: Ints, prices: Ints) -> Ints:
    """Parts of a million each holding is of its holder's basket; zeros for an empty one."""
    values = held * prices
    worth = values.sum(axis=1, keepdims=True)
    return np.where(worth > 0, (2 * values * UNIT + worth) // np.maximum(2 * worth, 1), 0)


def drifts(held: Ints, prices: Ints, weights: Ints, *, is_relative: bool) -> Ints:
    """The largest distance of a weight from its target, by holder, in parts; relative: in parts of the target."""
    off = np.abs(weights_of(held, prices) - weights)
    if is_relative:
        off = np.where(weights > 0, off * UNIT // np.maximum(weights, 1), np.where(off > 0, UNIT, 0))
    largest: Ints = off.max(axis=1) if off.size else np.zeros(len(held), dtype=np.int64)
    return largest


def _targets(worth: Ints, market: Market) -> Ints:
    return worth[:, None] * market.weights // (UNIT * market.prices)


def _small(values: Ints, worth: Ints) -> Bools:
    limit = np.maximum(SKIP_PAISE, worth // SKIP_SHARE)
    result: Bools = values <= limit[:, None]
    return result


def _ceil(values: Ints, by: int) -> Ints:
    return -(-values // by)
