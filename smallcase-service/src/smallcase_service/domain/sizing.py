"""How many shares: the least a basket can be bought for, and what an amount buys. Whole shares, whole paise.

`buys_for` works on many holders at once, exact in 64-bit integers; one holder is a batch of one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from saras_common.money import round_half_up
from smallcase_service.domain.weights import UNIT

Ints = npt.NDArray[np.int64]

TOLERANCE = UNIT * 2 // 100
"""A weight may be off by two points at the minimum investment."""

CRUMB = 20
"""A gap below a twentieth of a share is closed enough: charges may yet turn it into too much."""

STEPS = 60
"""How far the search for a better minimum goes: up to four times the first guess, in twentieths."""

MAX_WORTH_PAISE = 2**63 // (4 * UNIT)
"""₹2,300 crore: up to here twice worth × weight fits 64 bits."""


@dataclass(frozen=True, slots=True)
class Minimum:
    """The least whole basket: shares by constituent, their value, and the largest weight error in parts."""

    quantities: tuple[int, ...]
    value_paise: int
    error: int

    @property
    def is_within_tolerance(self) -> bool:
        """No weight is off by more than two points."""
        return self.error <= TOLERANCE


def minimum(prices: Sequence[int], weights: Sequence[int]) -> Minimum:
    """The smallest basket with a share of everything and weights within tolerance; else the best one tried.

    ``A0 = max(p/w)``, shares ``max(1, round_half_up(A·w/p))`` at ``A = A0·(1 + k/20)``, k ≤ 60.
    """
    first = max(Fraction(price * UNIT, weight) for price, weight in zip(prices, weights, strict=True))
    best: Minimum | None = None
    for step in range(STEPS + 1):
        found = _at(first * (20 + step) / 20, prices, weights)
        if found.is_within_tolerance:
            return found
        if best is None or found.error < best.error:
            best = found
    assert best is not None  # noqa: S101 - the loop ran
    return best


def _at(amount: Fraction, prices: Sequence[int], weights: Sequence[int]) -> Minimum:
    quantities = [
        max(1, round_half_up(amount.numerator * weight, amount.denominator * UNIT * price))
        for price, weight in zip(prices, weights, strict=True)
    ]
    values = [quantity * price for quantity, price in zip(quantities, prices, strict=True)]
    value = sum(values)
    worst = max(abs(one * UNIT - weight * value) for one, weight in zip(values, weights, strict=True))
    return Minimum(tuple(quantities), value, -(-worst // value))


def buys_for(
    held: Ints,
    prices: Ints,
    costs: Ints,
    weights: Ints,
    budgets: Ints,
    allowed: Ints | None = None,
    *,
    charge_ppm: int = 0,
) -> Ints:
    """Shares to buy, shape of ``held`` (holders × constituents), costing each holder at most its budget. Never sells.

    ``prices`` are last prices, ``costs`` (≥ prices) what one share may cost at worst, charges included; both by
    constituent. ``budgets`` by holder. ``allowed`` limits what may be bought of each.

    A holder's worth is what it holds plus what its budget buys at worst prices. Each constituent is filled up to
    ``floor(worth·w/p)``; when that is over the budget the least underweight give way first; what is left is spent
    where the gap per rupee is largest, never beyond the first share that closes a gap to a twentieth of a share.
    """
    spendable = _at_prices(budgets, prices, costs)
    worth = held @ prices + spendable
    if worth.size and int(worth.max()) > MAX_WORTH_PAISE:
        raise ValueError("a basket is worth more than can be planned exactly")
    targets = worth[:, None] * weights // (UNIT * prices)
    buys = np.maximum(targets - held, 0)
    if allowed is not None:
        buys = np.minimum(buys, allowed)
    gaps = worth[:, None] * weights - UNIT * prices * held
    buys = _spent(_dropped(buys, gaps, costs, budgets), gaps, prices, costs, budgets, allowed)
    # cash that is still there was kept for worst prices; counted in full it may ask for one more share of something
    counted = np.maximum(budgets + (-budgets * charge_ppm // UNIT), spendable)
    gaps += (counted - spendable)[:, None] * weights
    return _spent(buys, gaps, prices, costs, budgets, allowed)


def _at_prices(budgets: Ints, prices: Ints, costs: Ints) -> Ints:
    """What budgets are worth in shares bought at the worst of the costs, so that weights stay those of the prices."""
    ratios = [Fraction(int(price), int(cost)) for price, cost in zip(prices, costs, strict=True)]
    worst = min(ratios)
    return np.array([int(budget) * worst.numerator // worst.denominator for budget in budgets], dtype=np.int64)


def _dropped(buys: Ints, gaps: Ints, costs: Ints, budgets: Ints) -> Ints:
    """``buys`` cut to the budgets, the least underweight first."""
    over = buys @ costs - budgets
    rows = np.flatnonzero(over > 0)
    if rows.size == 0:
        return buys
    buys = buys.copy()
    order = np.argsort(np.where(buys[rows] > 0, gaps[rows], np.iinfo(np.int64).max), axis=1, kind="stable")
    left = over[rows]
    for rank in range(order.shape[1]):
        columns = order[:, rank]
        cut = np.minimum(buys[rows, columns], -(-np.maximum(left, 0) // costs[columns]))
        buys[rows, columns] -= cut
        left = left - cut * costs[columns]
    return buys


def _spent(buys: Ints, gaps: Ints, prices: Ints, costs: Ints, budgets: Ints, allowed: Ints | None) -> Ints:
    """``buys`` and what the rest of the budgets buys where the gap per rupee is largest.

    A gap of many shares is filled by all the whole shares that fit at once: they are worth the same per rupee.
    """
    buys = buys.copy()
    rows = np.arange(len(buys))
    crumbs = UNIT * prices // CRUMB
    while rows.size:
        left = budgets[rows] - buys[rows] @ costs
        gap = gaps[rows] - UNIT * prices * buys[rows]
        can = (gap > crumbs) & (costs <= left[:, None])
        if allowed is not None:
            can &= buys[rows] < allowed[rows]
        # ordering only: the shares and the money themselves stay integers
        per_rupee = np.where(can, gap / prices, -1.0)
        chosen = per_rupee.argmax(axis=1)
        able = can[np.arange(len(rows)), chosen]
        rows, chosen, left, gap = rows[able], chosen[able], left[able], gap[able]
        if rows.size == 0:
            break
        whole = gap[np.arange(len(rows)), chosen] // (UNIT * prices[chosen])
        count = np.maximum(1, np.minimum(whole, left // costs[chosen]))
        if allowed is not None:
            count = np.minimum(count, allowed[rows, chosen] - buys[rows, chosen])
        buys[rows, chosen] += count
    return buys
