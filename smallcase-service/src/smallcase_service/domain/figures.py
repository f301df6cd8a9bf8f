"""Numbers people decide by, from past prices: return, volatility, drawdown, correlation. Estimates, so floats.

Method: simple daily returns of the present weights over the last `WINDOW` sessions on which every constituent has a
price; the mean and the deviation are annualised with 252 sessions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from smallcase_service.domain.weights import UNIT

WINDOW = 252
LEAST = 60
"""Daily returns below which nothing is said."""
SESSIONS_A_YEAR = 252
METHOD = "mean and standard deviation of daily returns of the present weights, annualised with 252 sessions"

Floats = npt.NDArray[np.float64]
Closes = Mapping[str, Mapping[date, float]]


@dataclass(frozen=True, slots=True)
class Figures:
    """Annual fractions; ``correlation`` by pair. Without enough history all ``None`` and ``reason`` says why."""

    sessions: int
    since: date | None = None
    until: date | None = None
    expected_return: float | None = None
    volatility: float | None = None
    max_drawdown: float | None = None
    correlation: Mapping[str, Mapping[str, float | None]] | None = None
    reason: str | None = None


def returns_matrix(names: Sequence[str], closes: Closes, window: int = WINDOW) -> tuple[Floats, list[date]]:
    """Daily returns (sessions × names) over the last ``window`` sessions all have in common, and their days."""
    if not names:
        return np.zeros((0, 0)), []
    common = set.intersection(*(set(closes.get(name, {})) for name in names))
    days = sorted(common)[-(window + 1) :]
    prices = np.array([[closes[name][day] for name in names] for day in days], dtype=np.float64)
    if len(days) < 2:  # noqa: PLR2004 - a return needs two closes
        return np.zeros((0, len(names))), []
    return prices[1:] / prices[:-1] - 1.0, days[1:]


def short_history(names: Sequence[str], closes: Closes) -> list[str]:
    """Those of ``names`` with too few closes to say anything."""
    return [name for name in names if len(closes.get(name, {})) <= LEAST]


def figures(weights: Mapping[str, int], closes: Closes) -> Figures:
    """The figures of a basket of these weights (parts of a million)."""
    names = list(weights)
    daily, days = returns_matrix(names, closes)
    if len(days) < LEAST:
        short = short_history(names, closes)
        who = f" ({', '.join(short[:5])}{' …' if len(short) > 5 else ''})" if short else ""  # noqa: PLR2004
        return Figures(len(days), reason=f"{len(days)} daily returns in common, {LEAST} are needed{who}")
    basket = daily @ (np.array([weights[name] for name in names]) / UNIT)
    path = np.concatenate(([1.0], np.cumprod(1.0 + basket)))
    drawdown = 1.0 - path / np.maximum.accumulate(path)
    return Figures(
        len(days),
        days[0],
        days[-1],
        float(basket.mean() * SESSIONS_A_YEAR),
        float(basket.std(ddof=1) * np.sqrt(SESSIONS_A_YEAR)),
        float(drawdown.max()),
        _correlation(names, daily),
    )


def _correlation(names: Sequence[str], daily: Floats) -> dict[str, dict[str, float | None]]:
    """Pairwise; ``None`` where one of the two never moved."""
    centred = daily - daily.mean(axis=0)
    norms = np.sqrt((centred**2).sum(axis=0))
    products = centred.T @ centred
    return {
        one: {
            other: float(products[i, j] / (norms[i] * norms[j])) if norms[i] > 0 and norms[j] > 0 else None
            for j, other in enumerate(names)
        }
        for i, one in enumerate(names)
    }


def volatilities(names: Sequence[str], closes: Closes) -> dict[str, float]:
    """Annual volatility of each on its own last `WINDOW` sessions; those with too little history are left out."""
    found = {}
    for name in names:
        daily, days = returns_matrix([name], closes)
        if len(days) >= LEAST:
            found[name] = float(daily[:, 0].std(ddof=1) * np.sqrt(SESSIONS_A_YEAR))
    return found


def tracking_error(actual: Mapping[str, int], target: Mapping[str, int], closes: Closes) -> float | None:
    """Annual deviation of the difference between two baskets; ``None`` when history is too short."""
    names = sorted(actual.keys() | target.keys())
    daily, days = returns_matrix(names, closes)
    if len(days) < LEAST:
        return None
    gap = np.array([(actual.get(name, 0) - target.get(name, 0)) / UNIT for name in names])
    return float((daily @ gap).std(ddof=1) * np.sqrt(SESSIONS_A_YEAR))
