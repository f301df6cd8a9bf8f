"""A figure: a number with the convention it follows, or no number with the reason why.

`Column` is the same figure of many portfolios at once; `Metrics` is every figure of them, by name.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Days = npt.NDArray[np.datetime64]
Codes = npt.NDArray[np.uint8]
Counts = npt.NDArray[np.int64]


class Reason(StrEnum):
    """Why a figure cannot be known."""

    NO_HISTORY = "no_history"
    """Nothing was ever valued."""
    TOO_FEW_RETURNS = "too_few_returns"
    """Fewer observations than the figure needs."""
    UNDER_ONE_YEAR = "under_one_year"
    """Fewer than 365 days: an annual rate would be a guess."""
    MISSING_VALUATION = "missing_valuation_on_flow_day"
    """Money moved on a day, or after a day, that has no valuation."""
    NO_CAPITAL = "no_capital"
    """Worth nothing (or less) at the start of a day that still earned or lost."""
    NO_VARIATION = "no_variation"
    """Every return is the same, so nothing can be divided by their spread."""
    NO_DOWNSIDE = "no_downside"
    """No return below the minimum acceptable one."""
    NO_DRAWDOWN = "no_drawdown"
    """It never fell below an earlier high."""
    NO_BENCHMARK = "no_benchmark"
    """No benchmark, or fewer than two days in common with it."""
    TOO_FEW_FLOWS = "too_few_flows"
    """Fewer than two flows, or all of them on one date."""
    NO_SIGN_CHANGE = "no_sign_change"
    """Money only went in, or only came out."""
    SEVERAL_RATES = "several_rates"
    """More than one rate makes the flows worth nothing."""
    RATE_OUT_OF_RANGE = "rate_out_of_range"
    """The rate lies outside -99.99 % to 10,000 % a year."""
    TOO_LARGE = "too_large"
    """Larger than a number can say: a yearly rate of something absurd."""


REASONS: tuple[Reason | None, ...] = (None, *Reason)
"""Reasons by the code a `Column` keeps; 0 is "known"."""

CODES: Mapping[Reason, int] = {reason: code for code, reason in enumerate(REASONS) if reason is not None}


@dataclass(frozen=True, slots=True)
class Figure:
    """``value`` is a ratio (0.1375 is 13.75 %) unless the convention says otherwise; ``None`` has a ``reason``."""

    value: float | None
    convention: str
    reason: Reason | None = None
    dates: Mapping[str, date | None] = field(default_factory=dict)
    """Dates that belong to the value, e.g. ``peak_on``, ``trough_on``, ``recovered_on`` of a drawdown."""

    def as_dict(self) -> dict[str, Any]:
        """Plain form for JSON: ``value``, ``reason``, ``convention`` and each date as ``YYYY-MM-DD`` or null."""
        dates = {name: day.isoformat() if day else None for name, day in self.dates.items()}
        return {"value": self.value, "reason": self.reason, "convention": self.convention, **dates}


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One figure of many portfolios. All arrays have the shape ``(portfolios,)``; an unknown value is NaN."""

    values: Floats
    reasons: Codes
    """Index into `REASONS`, 0 where the value is known."""
    dates: Mapping[str, Days] = field(default_factory=dict)
    """``datetime64[D]``, NaT where there is none."""


@dataclass(frozen=True, slots=True, eq=False)
class Metrics:
    """Every figure of many portfolios: ``columns[name]``, ``conventions[name]``, in the same order of portfolios."""

    columns: Mapping[str, Column]
    conventions: Mapping[str, str]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())).values)

    def of(self, index: int) -> dict[str, Figure]:
        """Every figure of one portfolio, by name."""
        return {name: self._figure(name, column, index) for name, column in self.columns.items()}

    def __iter__(self) -> Iterator[dict[str, Figure]]:
        return (self.of(index) for index in range(len(self)))

    def _figure(self, name: str, column: Column, index: int) -> Figure:
        reason = REASONS[column.reasons[index]]
        value = None if reason else float(column.values[index])
        dates = {key: None if reason else day_of(days[index]) for key, days in column.dates.items()}
        return Figure(value, self.conventions[name], reason, dates)


def day_of(day: np.datetime64) -> date | None:
    """A ``date``, ``None`` for NaT."""
    return None if np.isnat(day) else day.astype("datetime64[D]").item()


def column(values: Floats, *unknown: tuple[Bools, Reason], dates: Mapping[str, Days] | None = None) -> Column:
    """A column of ``values``; each ``(mask, reason)`` says what is unknown and why, the first that holds counts."""
    reasons = np.zeros(values.shape, dtype=np.uint8)
    for mask, reason in unknown:
        reasons[(reasons == 0) & mask] = CODES[reason]
    reasons[(reasons == 0) & ~np.isfinite(values)] = CODES[Reason.TOO_LARGE]
    known = reasons == 0
    dated = {name: np.where(known, days, np.datetime64("NaT")) for name, days in (dates or {}).items()}
    return Column(np.where(known, values, np.nan), reasons, dated)
