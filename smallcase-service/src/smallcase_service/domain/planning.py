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

    A holding that is no constituent any more is a column of weight 0. ``sell_ppm``, ``buy_ppm``: what trading costs
    beside the price, in millionths of it.
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


def plan_rebalance(held: Ints, market: Market, *, is_full: bool = False) -> Plan:
    """Sells towards the target, and the buys their expected proceeds should pay for, all rounds of them together.

    Holders × constituents. Unless ``is_full``, an order of at most max(₹500, 1 % of worth) is skipped for a
    constituent that stays; an exit or a new entry never is.
    """
    sells, skipped = plan_sells(held, market, is_full=is_full)
    values = sells @ market.prices
    cash = np.maximum(values - _ceil(values * market.sell_ppm, UNIT), 0)
    buys, unbought = plan_all_buys(held - sells, market, cash, sells > 0, is_full=is_full)
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


def plan_buys(
    held: Ints, market: Market, cash: Ints, sold: Bools, *, is_full: bool, begun: Bools | None = None, slack: int = 0
) -> tuple[Ints, Ints]:
    """What the cash buys towards the target, nothing of what was just ``sold``; and which were skipped.

    Sized at worst costs. What these keep back is there for the next round once the prices of this one are known.
    ``begun``: what earlier rounds bought of already, and which is never skipped. ``slack``: paise not to be spent.
    """
    allowed = np.where(sold | (market.weights == 0), 0, np.iinfo(np.int64).max // 4)
    budgets = np.maximum(cash - slack, 0)
    values = _without_charges(cash, market)
    buys = buys_for(held, market.prices, market.costs, market.weights, budgets, allowed, cash=values, is_last=False)
    return _without_small(buys, held, market, cash, begun, is_full=is_full)


def plan_all_buys(held: Ints, market: Market, cash: Ints, sold: Bools, *, is_full: bool = True) -> tuple[Ints, Ints]:
    """What all rounds of buys together should come to if prices stay; and which were skipped."""
    allowed = np.where(sold | (market.weights == 0), 0, np.iinfo(np.int64).max // 4)
    values = _without_charges(cash, market)
    buys = buys_for(held, market.prices, market.prices, market.weights, values, allowed, is_last=False)
    return _without_small(buys, held, market, cash, None, is_full=is_full)


def plan_closing(
    held: Ints, market: Market, cash: Ints, sold: Bools, *, is_full: bool, begun: Bools | None = None, slack: int = 0
) -> Ints:
    """Whole shares still missing that the cash does not buy at worst, at last prices: none for most holders.

    A share needs its price and the band when it is bought without a limit; who has the price, but not the band, can
    only buy it with a limit. After a full rebalance's nothing is off by more than a share.
    """
    values = _without_charges(cash, market)
    buys = _missing(held, market, np.maximum(cash - slack, 0), values, np.where(sold, 0, np.iinfo(np.int64).max // 4))
    # cash nobody spends is worth all of itself: by a whisker that may be one share more
    spent = buys @ market.prices
    left, after = cash - spent - _ceil(spent * market.buy_ppm, UNIT), held + buys
    worth = after @ market.prices + _without_charges(left, market)
    is_below = ~sold & (worth[:, None] * market.weights > UNIT * market.prices * after)
    buys = buys + _missing(after, market, np.maximum(left - slack, 0), left, is_below.astype(np.int64))
    return _without_small(buys, held, market, cash, begun, is_full=is_full)[0]


def _missing(held: Ints, market: Market, cash: Ints, counted: Ints, most: Ints) -> Ints:
    """Whole shares the cash buys at last prices, ``most`` of each, towards targets with ``counted`` as its worth."""
    short = np.maximum(_targets(held @ market.prices + counted, market) - held, 0)
    values = _without_charges(cash, market)
    return buys_for(held, market.prices, market.prices, market.weights, values, np.minimum(short, most), cash=counted)


def _without_small(
    buys: Ints, held: Ints, market: Market, cash: Ints, begun: Bools | None, *, is_full: bool
) -> tuple[Ints, Ints]:
    if is_full:
        return buys, np.zeros_like(buys)
    skip = _small(buys * market.prices, held @ market.prices + cash) & (held > 0)
    if begun is not None:
        skip &= ~begun
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


def _without_charges(cash: Ints, market: Market) -> Ints:
    """The value of what cash buys, the rest being charges."""
    return cash + -cash * market.buy_ppm // (UNIT + market.buy_ppm)


def _targets(worth: Ints, market: Market) -> Ints:
    return worth[:, None] * market.weights // (UNIT * market.prices)


def _small(values: Ints, worth: Ints) -> Bools:
    limit = np.maximum(SKIP_PAISE, worth // SKIP_SHARE)
    result: Bools = values <= limit[:, None]
    return result


def _ceil(values: Ints, by: int) -> Ints:
    return -(-values // by)
