"""`plan_rebalance`: what 10,000 subscribers of a 20-stock basket must sell and buy, priced, on one core; and 20,000."""

import time
from datetime import date

import numpy as np
from figures import Figure, median_of

from smallcase_service.domain.planning import Market, plan_rebalance
from smallcase_service.domain.pricing import Quoted
from smallcase_service.domain.sizing import Ints
from smallcase_service.domain.weights import UNIT

STOCKS, HOLDERS, RUNS = 20, 10_000, 3
DAY = date(2026, 3, 2)
BAND_PERCENT = 3


def holders(count: int, seed: int) -> tuple[list[Quoted], Ints, Ints]:
    """Prices of ₹50 to ₹5,000, new target weights, and ``count`` holders of ₹20,000 to ₹50 lakh at older ones."""
    random = np.random.default_rng(seed)
    quoted = [Quoted(f"NSE:S{n}", int(price) * 5, 5) for n, price in enumerate(random.integers(1000, 100_000, STOCKS))]
    old, new = (np.maximum(random.dirichlet(np.full(STOCKS, 5.0)) * UNIT, 1).astype(np.int64) for _ in range(2))
    new[0] += UNIT - new.sum()
    worth = np.exp(random.uniform(np.log(2_000_000), np.log(500_000_000), count)).astype(np.int64)
    prices = np.array([one.last_paise for one in quoted], dtype=np.int64)
    return quoted, new, worth[:, None] * old // (UNIT * prices)


def once(count: int, seed: int) -> tuple[float, int]:
    """Seconds to price the basket and plan every holder's orders, small ones included; and how many there are."""
    quoted, weights, held = holders(count, seed)
    started = time.perf_counter()
    prices = np.array([one.last_paise for one in quoted], dtype=np.int64)
    costs = np.array([one.worst_cost(BAND_PERCENT, DAY) for one in quoted], dtype=np.int64)
    market = Market(prices, costs, weights, 1040, 1190)
    plan = plan_rebalance(held, market, is_full=True)
    orders = int((plan.sells > 0).sum() + (plan.buys > 0).sum())
    seconds = time.perf_counter() - started
    proceeds = plan.sells @ prices
    assert (plan.sells <= held).all()
    assert (plan.buys @ costs <= proceeds).all()
    return seconds, orders


def measure() -> list[Figure]:
    """Both sizes in turn, so that their ratio means something."""
    small, large, orders = [], [], 0
    for seed in range(RUNS):
        seconds, orders = once(HOLDERS, seed)
        small.append(seconds)
        large.append(once(2 * HOLDERS, seed)[0])
    growth = [two / one for one, two in zip(small, large, strict=True)]
    note = f"{HOLDERS:,} holders × {STOCKS} stocks, {orders:,} orders"
    return [
        Figure("plan_rebalance", "s", median_of(small), small, "≤ 2", median_of(small) <= 2, note),
        Figure("plan_rebalance, twice the holders", "×", median_of(growth), growth, "about 2"),
    ]
