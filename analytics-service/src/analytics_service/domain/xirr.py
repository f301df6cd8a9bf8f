"""Money-weighted return: the yearly rate at which dated flows are worth nothing (XIRR, Actual/365).

Written in ``x = ln(1 + rate)`` the worth of flows ``c`` at years ``t`` is ``f(x) = Σ c·exp(−x·t)``. By Descartes' rule
of signs, which holds for such sums as for polynomials, one change of sign in the flows means at most one rate. With
more, the rates in range are counted on a grid, and between its nodes wherever ``f`` turns.
"""

import math
from collections.abc import Callable, Sequence
from datetime import date

import numpy as np

from analytics_service.domain.figures import CODES, REASONS, Codes, Counts, Days, Figure, Floats, Reason

LOWEST, HIGHEST = -0.9999, 100.0
"""Range of rates looked at, a year."""
CONVENTION = "a year, compounded, Actual/365, deposits and withdrawals on their dates, Brent on [-99.99 %, 10,000 %]"
_NODES = 513
_GRID: Floats = np.linspace(math.log1p(LOWEST), math.log1p(HIGHEST), _NODES)
_TOLERANCE = 1e-14
_MAX_STEPS = 200


def brent(f: Callable[[float], float], low: float, high: float) -> float:
    """The root of ``f`` between ``low`` and ``high``, where it changes sign (``ValueError`` when it does not).

    R. P. Brent, Algorithms for Minimization without Derivatives (1973), chapter 4: inverse quadratic interpolation or
    a secant, taken while it shrinks the bracket faster than halving would.
    """
    b, c = high, low
    fb, fc = f(high), f(low)
    if (fb > 0) == (fc > 0) and fb != 0 and fc != 0:
        raise ValueError("no change of sign")
    a, fa = c, fc
    step = before = b - a
    for _ in range(_MAX_STEPS):
        if abs(fc) < abs(fb):
            a, fa, b, fb, c, fc = b, fb, c, fc, b, fb
        tolerance = 2 * np.finfo(float).eps * abs(b) + _TOLERANCE / 2
        half = (c - b) / 2
        if abs(half) <= tolerance or fb == 0:
            return b
        trial = _interpolated(a, fa, b, fb, c, fc) if abs(before) >= tolerance and abs(fa) > abs(fb) else math.inf
        if abs(trial) < min(1.5 * abs(half) - tolerance / 2, abs(before) / 2) and trial * half > 0:
            before, step = step, trial
        else:
            before = step = half
        a, fa = b, fb
        b += step if abs(step) > tolerance else math.copysign(tolerance, half)
        fb = f(b)
        if (fb > 0) == (fc > 0):
            c, fc = a, fa
            before = step = b - a
    return b


def _interpolated(a: float, fa: float, b: float, fb: float, c: float, fc: float) -> float:
    """Step from ``b`` to where a curve through the points meets zero: a secant, or inverse quadratic."""
    s = fb / fa
    if a == c:
        return (c - b) * s / (s - 1)
    q, r = fa / fc, fb / fc
    p = s * ((c - b) * q * (q - r) - (b - a) * (r - 1))
    divisor = (q - 1) * (r - 1) * (s - 1)
    return -p / divisor if divisor else math.inf


def xnpv(rate: float, days: Sequence[date], amounts: Sequence[float]) -> float:
    """Worth on the first date of ``amounts`` on ``days`` at ``rate`` a year, Actual/365."""
    years = [(day - days[0]).days / 365 for day in days]
    return math.fsum(amount * math.exp(-year * math.log1p(rate)) for year, amount in zip(years, amounts, strict=True))


def xirr(days: Sequence[date], amounts: Sequence[float]) -> Figure:
    """The rate of one series: ``amounts`` < 0 paid in, > 0 taken out (the last one usually the worth today)."""
    order = sorted(set(days))
    flows = np.zeros((1, len(order)))
    for day, amount in zip(days, amounts, strict=True):
        flows[0, order.index(day)] += amount
    values, reasons = rates(np.array(order, dtype="datetime64[D]"), flows)
    reason = REASONS[reasons[0]]
    return Figure(None if reason else float(values[0]), CONVENTION, reason)


def rates(days: Days, flows: Floats) -> tuple[Floats, Codes]:
    """XIRR of many portfolios. ``flows`` is ``(portfolios, days)``, the net of each day, zero where nothing moved.

    Returns rates (NaN where undefined) and reason codes (see `REASONS`), both ``(portfolios,)``.
    """
    moving = np.flatnonzero(flows.any(axis=0))
    days, flows = days[moving], flows[:, moving]
    years = (days - days[:1]).astype(np.float64) / 365
    years -= years[-1:] / 2  # from the middle: moves no root, and keeps a century of years far from overflow
    found = np.full(len(flows), np.nan)
    reasons = _evident_reasons(flows)
    rows = np.flatnonzero(reasons == 0)
    worth, slope = _on_grid(flows[rows], years)
    changes = _changes_of_sign(flows[rows])
    crossings = (worth[:, 1:] > 0) != (worth[:, :-1] > 0)
    turns = ((slope[:, 1:] > 0) != (slope[:, :-1] > 0)) & ~crossings & (changes > 1)[:, None]
    for index, row in enumerate(rows):
        moved = np.flatnonzero(flows[row])
        series = _Series(flows[row, moved], years[moved])
        cells = np.flatnonzero(crossings[index])
        count = len(cells) + 2 * sum(series.touches(int(cell)) for cell in np.flatnonzero(turns[index]))
        if count == 1:
            found[row] = math.expm1(brent(series.worth, _GRID[cells[0]], _GRID[cells[0] + 1]))
        else:
            reasons[row] = CODES[Reason.SEVERAL_RATES if count else Reason.RATE_OUT_OF_RANGE]
    return found, reasons


def _evident_reasons(flows: Floats) -> Codes:
    """Reasons that need no search."""
    reasons = np.zeros(len(flows), dtype=np.uint8)
    one_sided = ~((flows > 0).any(axis=1) & (flows < 0).any(axis=1))
    reasons[one_sided] = CODES[Reason.NO_SIGN_CHANGE]
    reasons[np.count_nonzero(flows, axis=1) < 2] = CODES[Reason.TOO_FEW_FLOWS]  # noqa: PLR2004 - one in, one out
    return reasons


def _on_grid(flows: Floats, years: Floats) -> tuple[Floats, Floats]:
    """``f`` and its slope at every node of the grid, ``(portfolios, nodes)``."""
    discount = np.exp(-np.outer(years, _GRID))
    return flows @ discount, flows @ (-years[:, None] * discount)


def _changes_of_sign(flows: Floats) -> Counts:
    """How often the sign changes along each row, zeros left out."""
    signs = np.sign(flows).astype(np.int8)
    held = np.maximum.accumulate(np.where(signs != 0, np.arange(flows.shape[1]), 0), axis=1)
    signs = np.take_along_axis(signs, held, axis=1)
    changes: Counts = np.count_nonzero(signs[:, 1:] * signs[:, :-1] < 0, axis=1)
    return changes


class _Series:
    """One portfolio's flows."""

    def __init__(self, amounts: Floats, years: Floats) -> None:
        self._amounts = amounts
        self._years = years

    def worth(self, x: float) -> float:
        return float(self._amounts @ np.exp(-x * self._years))

    def _slope(self, x: float) -> float:
        return float((self._amounts * -self._years) @ np.exp(-x * self._years))

    def touches(self, cell: int) -> bool:
        """Whether the turning point inside a cell of the grid reaches the other side of zero."""
        low, high = _GRID[cell], _GRID[cell + 1]
        if (self._slope(low) > 0) == (self._slope(high) > 0):
            return False
        return (self.worth(brent(self._slope, low, high)) > 0) != (self.worth(low) > 0)
