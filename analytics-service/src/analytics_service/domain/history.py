"""The history a figure is computed from: values and flows of portfolios, day by day."""

from dataclasses import dataclass

import numpy as np

from analytics_service.domain.figures import Days, Floats


@dataclass(frozen=True, slots=True, eq=False)
class Histories:
    """Many portfolios over the same valuation days. Shape ``(portfolios, days)``, one row a portfolio.

    Money is paise held as float64 (whole numbers, exact to 2⁵³): a day without a valuation is NaN, and a portfolio that
    began later has NaN (or 0) before. Flows that fall between valuation days belong to the next one.
    ``ValueError`` when shapes differ, days do not ascend, or a flow is negative or not finite.
    """

    days: Days
    """``datetime64[D]``, ascending, shape ``(days,)``: the sessions."""
    values: Floats
    """Worth at the day's close, after the day's flows; NaN is a gap."""
    deposits: Floats
    """≥ 0, taken as made at the start of the day."""
    withdrawals: Floats
    """≥ 0, taken as made at the end of the day."""
    benchmark: Floats | None = None
    """Level of the benchmark at each close, shape ``(days,)`` or ``(portfolios, days)``; NaN is a gap."""

    def __post_init__(self) -> None:
        shape = self.values.shape
        if self.values.ndim != 2 or self.days.shape != shape[1:]:  # noqa: PLR2004 - portfolios by days
            raise ValueError("values must be portfolios by days")
        if self.deposits.shape != shape or self.withdrawals.shape != shape:
            raise ValueError("flows must have the shape of the values")
        if self.benchmark is not None and self.benchmark.shape not in {shape, shape[1:]}:
            raise ValueError("the benchmark must have the shape of the days or of the values")
        if np.any(np.diff(self.days) <= np.timedelta64(0, "D")):
            raise ValueError("days must ascend")
        if not (np.all(self.deposits >= 0) and np.all(self.withdrawals >= 0)):
            raise ValueError("flows must be zero or more")

    def __len__(self) -> int:
        return len(self.values)

    def part(self, start: int, stop: int) -> "Histories":
        """The portfolios ``start`` to ``stop``, as a view."""
        benchmark = self.benchmark
        if benchmark is not None and benchmark.ndim == 2:  # noqa: PLR2004 - one benchmark a portfolio
            benchmark = benchmark[start:stop]
        rows = slice(start, stop)
        return Histories(self.days, self.values[rows], self.deposits[rows], self.withdrawals[rows], benchmark)
