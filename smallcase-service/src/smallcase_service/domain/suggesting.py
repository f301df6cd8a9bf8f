"""Proposed baskets: which methods suit a risk level, and how a method's weights become a basket one can buy."""

from collections.abc import Mapping
from enum import StrEnum
from fractions import Fraction
from typing import Literal

from smallcase_service.domain.weights import MIN_CONSTITUENTS, UNIT, bounded

Risk = Literal["low", "medium", "high"]


class Method(StrEnum):
    """How weights are chosen."""

    LEAST_VOLATILITY = "least_volatility"
    RISK_PARITY = "risk_parity"
    BEST_RATIO = "best_ratio"


SUITABLE: dict[Risk, tuple[Method, ...]] = {
    "low": (Method.LEAST_VOLATILITY, Method.RISK_PARITY),
    "medium": (Method.RISK_PARITY, Method.LEAST_VOLATILITY, Method.BEST_RATIO),
    "high": (Method.BEST_RATIO, Method.RISK_PARITY),
}

WHY: dict[Method, str] = {
    Method.LEAST_VOLATILITY: "mean-variance: the mix whose past swings were the smallest",
    Method.RISK_PARITY: "hierarchical risk parity: related shares count as one, and each group carries a like part of"
    " the risk; past returns play no part",
    Method.BEST_RATIO: "mean-variance: the mix with the most past return for its swings; it leans on past returns,"
    " which repeat themselves the least",
}

SMALLEST = UNIT // 50
"""Weights under two points are left out."""
MOST = 15
"""Constituents of a proposal."""


def candidate_weights(raw: Mapping[str, float], most: int = MOST) -> dict[str, int] | None:
    """The largest ``most`` of a method's weights in parts of a million, none under two points; ``None`` if too few."""
    kept = sorted((name for name in raw if raw[name] * UNIT >= SMALLEST), key=lambda name: (-raw[name], name))[:most]
    if len(kept) < MIN_CONSTITUENTS:
        return None
    scores = [Fraction(raw[name]).limit_denominator(10**9) for name in kept]
    return dict(zip(kept, bounded(scores, [SMALLEST] * len(kept), [UNIT] * len(kept)), strict=True))
