"""Exact money: whole paise in, whole paise out, and the one way a total is shared.

A price or an amount is an ``int`` of paise everywhere inside Saras; a rupee string exists only at the edges.
Averages stay rationals (``value_paise`` over ``quantity``) until the moment they are shown.
"""

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

import numpy as np
import numpy.typing as npt

PAISE = 100
"""Paise in a rupee."""

MAX_PAISE = 10**15
"""Largest amount any field holds, ₹10 lakh crore: far above real use, far below the 64-bit edge."""


def paise_from(rupees: str | int | Decimal) -> int:
    """Exact paise of an amount in rupees; ``ValueError`` when it is not finite, has part paise or is out of range.

    >>> paise_from("1523.40")
    152340
    """
    if isinstance(rupees, bool):
        raise ValueError("a boolean is not an amount")  # noqa: TRY004 - one error family for "not an amount"
    try:
        paise = Decimal(rupees) * PAISE
    except (InvalidOperation, TypeError) as error:
        raise ValueError("not a decimal number") from error
    if not paise.is_finite() or abs(paise) > MAX_PAISE:
        raise ValueError("out of range")
    whole = int(paise)
    if paise != whole:
        raise ValueError("more than two decimal places")
    return whole


def rupees(paise: int) -> str:
    """Decimal string in rupees, two places, as the API writes money.

    >>> rupees(-5)
    '-0.05'
    """
    sign = "-" if paise < 0 else ""
    whole, part = divmod(abs(paise), PAISE)
    return f"{sign}{whole}.{part:02d}"


def round_half_up(numerator: int, denominator: int) -> int:
    """``numerator / denominator`` to the nearest integer, halves away from zero; ``denominator`` > 0.

    >>> round_half_up(5, 2), round_half_up(-5, 2)
    (3, -3)
    """
    quotient = (2 * abs(numerator) + denominator) // (2 * denominator)
    return quotient if numerator >= 0 else -quotient


def average_price(value_paise: int, quantity: int) -> str | None:
    """Average price for people: rupees to four places, ``None`` when nothing was traded."""
    if quantity == 0:
        return None
    scaled = round_half_up(value_paise * 100, quantity)
    sign = "-" if scaled < 0 else ""
    whole, part = divmod(abs(scaled), PAISE * 100)
    return f"{sign}{whole}.{part:04d}".removesuffix("00")


def split(total: int, weights: Sequence[int]) -> list[int]:
    """Shares of ``total`` in proportion to ``weights`` (≥ 0, Σ > 0), summing to it exactly: largest remainder.

    Ties go to the earlier weight, so callers sort by what is fair before they call.

    >>> split(100, [1, 1, 1])
    [34, 33, 33]
    """
    if total == 0:
        return [0] * len(weights)
    whole = sum(weights)
    if whole <= 0 or min(weights) < 0:
        raise ValueError("weights must be non-negative with a positive sum")
    sign, amount = (-1, -total) if total < 0 else (1, total)
    shares, remainders = [], []
    for weight in weights:
        share, remainder = divmod(amount * weight, whole)
        shares.append(share)
        remainders.append(remainder)
    left = amount - sum(shares)
    for index in sorted(range(len(weights)), key=lambda i: (-remainders[i], i))[:left]:
        shares[index] += 1
    return [sign * share for share in shares]


_INT64_MAX = 2**63 - 1


def split_array(total: int, weights: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """`split` over a numpy array, the same shares to the paisa; falls back to exact integers past 64 bits."""
    whole = int(weights.sum())
    if total == 0:
        return np.zeros(len(weights), dtype=np.int64)
    if whole <= 0 or int(weights.min()) < 0:
        raise ValueError("weights must be non-negative with a positive sum")
    amount = abs(total)
    if amount * int(weights.max()) > _INT64_MAX:
        return np.array(split(total, [int(weight) for weight in weights]), dtype=np.int64)
    shares, remainders = np.divmod(weights * amount, whole)
    left = amount - int(shares.sum())
    if left:
        shares[np.argsort(-remainders, kind="stable")[:left]] += 1
    return shares if total > 0 else -shares
