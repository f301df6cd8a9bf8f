"""Where the return came from: contribution of each holding, exposure, and Brinson-Fachler effects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analytics_service.domain.figures import Floats


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one holding earned. ``pnl_paise`` sums to the profit, ``ratio`` to the time-weighted return, exactly."""

    name: str
    pnl_paise: int
    ratio: float | None
    """``None`` when the portfolio's own return is undefined."""


def contributions(names: Sequence[str], pnl_paise: Floats, capital_paise: Floats) -> tuple[Contribution, ...]:
    """Each holding's share of the linked return (Cariño), largest first.

    ``pnl_paise`` is ``(holdings, days)``, each holding's profit on a day (close − previous close − bought + sold +
    income − charges; cash as a holding of its own); ``capital_paise`` is ``(days,)``: worth at the previous close plus the day's deposits.
    """
    raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Exposure:
    """Worth in one group, and its share of the whole (ratio; ``None`` when the whole is worth nothing)."""

    group: str
    value_paise: int
    weight: float | None


def exposure(values_paise: Sequence[tuple[str, int]]) -> tuple[Exposure, ...]:
    """Worth by group (sector, asset class) from ``(group, value)`` of each holding, largest first."""
    raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Segment:
    """One group (sector or asset class) over one period. Weights are ratios at the period's start."""

    portfolio_weight: float
    benchmark_weight: float
    portfolio_return: float
    benchmark_return: float


@dataclass(frozen=True, slots=True)
class Effects:
    """Brinson-Fachler effects, ratios. ``allocation + selection + interaction`` over groups = active return."""

    allocation: float
    selection: float
    interaction: float

    @property
    def total(self) -> float:
        return self.allocation + self.selection + self.interaction


def brinson_fachler(groups: Mapping[str, Segment]) -> dict[str, Effects]:
    """Effects of one period by group. Weights of each side must sum to 1 (``ValueError``)."""
    raise NotImplementedError


def brinson_fachler_linked(periods: Sequence[Mapping[str, Segment]]) -> dict[str, Effects]:
    """Effects of several periods in a row, linked (Cariño) so that they sum to the difference of compounded returns."""
    raise NotImplementedError
