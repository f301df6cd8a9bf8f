"""Weights of a basket: whole parts of a million that sum to exactly one million, within each one's floor and cap."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from smallcase_service.domain.refusals import BoundsCannotHold, WeightsDoNotSum

UNIT = 1_000_000
"""100 %."""

MIN_CONSTITUENTS, MAX_CONSTITUENTS = 2, 50
_PERCENT = Decimal(100)


def parts_of(weights: Sequence[Decimal]) -> list[int]:
    """Custom weights, given as fractions of 1 or as percents of 100, in parts of a million.

    >>> parts_of([Decimal("0.5"), Decimal("0.5")]), parts_of([Decimal(60), Decimal(40)])
    ([500000, 500000], [600000, 400000])
    """
    total = sum(weights, Decimal(0))
    if total not in {Decimal(1), _PERCENT}:
        raise WeightsDoNotSum(f"The weights sum to {total:f}: they must sum to exactly 1, or to exactly 100")
    parts = [weight * UNIT / total for weight in weights]
    if any(part != int(part) for part in parts):
        raise WeightsDoNotSum("A weight has more than six decimal places (four as a percent)")
    return [int(part) for part in parts]


def bounded(scores: Sequence[Fraction], floors: Sequence[int], caps: Sequence[int]) -> list[int]:
    """Weights in proportion to ``scores`` (> 0) within floors and caps, summing to `UNIT`.

    Each weight is ``λ·score`` clipped to its bounds; the sum grows with λ, so the λ that gives exactly one lies
    between two of the points where a weight meets a bound, and is found there exactly. Part units go by largest
    remainder, which cannot cross a bound because bounds are whole.
    """
    if sum(floors) > UNIT or sum(caps) < UNIT:
        raise BoundsCannotHold
    points = sorted(
        {
            Fraction(bound) / score
            for score, pair in zip(scores, zip(floors, caps, strict=True), strict=True)
            for bound in pair
        }
    )
    terms = list(zip(scores, floors, caps, strict=True))
    low = Fraction(0)
    for point in points:
        if sum(_clipped(point, *term) for term in terms) >= UNIT:
            high = point
            break
        low = point
    else:
        high = points[-1]
    at_low, at_high = (sum(_clipped(point, *term) for term in terms) for point in (low, high))
    level = high if at_high == at_low else low + (high - low) * (UNIT - at_low) / (at_high - at_low)
    return _whole([_clipped(level, *term) for term in terms])


def _clipped(level: Fraction, score: Fraction, floor: int, cap: int) -> Fraction:
    return min(max(level * score, Fraction(floor)), Fraction(cap))


def _whole(exact: Sequence[Fraction]) -> list[int]:
    parts = [int(value) for value in exact]
    left = UNIT - sum(parts)
    for index in sorted(range(len(exact)), key=lambda i: (parts[i] - exact[i], i))[:left]:
        parts[index] += 1
    return parts
