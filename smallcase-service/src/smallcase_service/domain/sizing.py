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
    cash: Ints | None = None,
    is_last: bool = True,
) -> Ints:
    """Shares to buy, shape of ``held`` (holders × constituents), costing each holder at most its budget. Never sells.

    ``prices`` are last prices, ``costs`` (≥ prices) what one share may cost at worst, charges included; both by
    constituent. ``budgets`` by holder. ``allowed`` limits what may be bought of each. ``cash`` is what a holder
    has, if not all of it may be spent.

    A holder's worth is what it holds and its cash. Each constituent is filled up to
    ``floor(worth·w/p)``; when that is over the budget at worst the least underweight give way first; what is left is
    spent on whole missing shares where the gap per rupee is largest, then on parts of one, never beyond the first share
    that closes a gap to a twentieth of a share. Unless ``is_last``, nobody goes past a target while a whole share is
    missing elsewhere: the cash is kept, what the band did not take will pay for that share.
    """
    worth = held @ prices + (budgets if cash is None else cash)
    if worth.size and int(worth.max()) > MAX_WORTH_PAISE:
        raise ValueError("a basket is worth more than can be planned exactly")
    gaps = worth[:, None] * weights - UNIT * prices * held
    buys = np.maximum(gaps // (UNIT * prices), 0)
    if allowed is None:
        allowed = np.full_like(held, np.iinfo(np.int64).max // 4)
    buys = _dropped(np.minimum(buys, allowed), gaps, costs, budgets)
    buys = _spent(buys, gaps, prices, costs, budgets, allowed, UNIT * prices - 1)
    if not is_last:
        missing = (gaps - UNIT * prices * buys >= UNIT * prices) & (buys < allowed)
        allowed = np.where(missing.any(axis=1, keepdims=True), buys, allowed)
    return _spent(buys, gaps, prices, costs, budgets, allowed, UNIT * prices // CRUMB)


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


def _spent(buys: Ints, gaps: Ints, prices: Ints, costs: Ints, budgets: Ints, allowed: Ints, closed: Ints) -> Ints:
    """``buys`` and what the rest of the budgets buys where the gap per rupee is largest, if it is over ``closed``.

    A gap of many shares is filled by all the whole shares that fit at once: they are worth the same per rupee.
    """
    buys = buys.copy()
    rows = np.arange(len(buys))
    while rows.size:
        left = budgets[rows] - buys[rows] @ costs
        gap = gaps[rows] - UNIT * prices * buys[rows]
        can = (gap > closed) & (costs <= left[:, None]) & (buys[rows] < allowed[rows])
        # ordering only: the shares and the money themselves stay integers
        per_rupee = np.where(can, gap / prices, -1.0)
        chosen = per_rupee.argmax(axis=1)
        able = can[np.arange(len(rows)), chosen]
        rows, chosen, left, gap = rows[able], chosen[able], left[able], gap[able]
        if rows.size == 0:
            break
        whole = gap[np.arange(len(rows)), chosen] // (UNIT * prices[chosen])
        count = np.maximum(1, np.minimum(whole, left // costs[chosen]))
        buys[rows, chosen] += np.minimum(count, allowed[rows, chosen] - buys[rows, chosen])
    return buys
