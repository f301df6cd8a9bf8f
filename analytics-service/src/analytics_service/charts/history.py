"""What the charts draw."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from analytics_service.domain.figures import Days, Floats
from analytics_service.domain.history import Histories
from analytics_service.domain.returns import Returns, daily_returns


@dataclass(frozen=True, slots=True)
class Holding:
    """One line of the allocation: worth now."""

    instrument: str
    sector: str
    asset_class: str
    value_paise: int


@dataclass(frozen=True, slots=True, eq=False)
class PortfolioHistory:
    """Everything the charts draw, of one portfolio. Daily arrays have the shape ``(days,)``; money is paise as float64.

    Parts a chart does not need may stay empty; a chart whose part is missing says so in the picture.
    """

    title: str
    days: Days
    values: Floats
    """Worth at each close; NaN is a gap and is drawn as one."""
    deposits: Floats
    withdrawals: Floats
    benchmark_name: str = ""
    benchmark: Floats = field(default_factory=lambda: np.empty(0))
    """Level at each close, shape ``(days,)``; empty when there is none."""
    holdings: Sequence[Holding] = ()
    contributions_paise: Sequence[tuple[str, int]] = ()
    """Profit by holding (instrument, paise), cash and charges too: sums to the profit of the period."""
    closes: Mapping[str, Floats] = field(default_factory=dict)
    """Adjusted closes by instrument, each ``(days,)``; NaN is a gap. For the correlation."""

    def returns(self) -> Returns:
        """Time-weighted returns, as a batch of one."""
        rows = (one[None].astype(np.float64) for one in (self.values, self.deposits, self.withdrawals))
        return daily_returns(Histories(self.days, *rows))
