"""Time-weighted returns day by day, and the modified Dietz estimate where a valuation is missing.

``r = (V_t + W_t) / (V_{t−1} + C_t) − 1``, deposits C at the start of the day, withdrawals W at its end, chained. A day
without a valuation is bridged by the next one that has it, unless money moved in between: then no one can know.
"""

from dataclasses import dataclass

import numpy as np

from analytics_service.domain.figures import Bools, Column, Counts, Days, Floats, Reason, column
from analytics_service.domain.history import Histories
from analytics_service.domain.xirr import rates

DAYS_A_YEAR = 365


@dataclass(frozen=True, slots=True, eq=False)
class Returns:
    """Returns of many portfolios, ``(portfolios, days)``, and where each one begins and ends, ``(portfolios,)``."""

    days: Days
    daily: Floats
    """NaN on days without a return: before the start, gaps, the opening valuation, nothing invested."""
    previous: Counts
    """Index of the valuation each return starts from; -1 before the first day."""
    first: Counts
    """Index of the first day with worth or a deposit; ``days`` long when there is none."""
    last: Counts
    """Index of the last valuation; -1 when there is none."""
    unpriced: Bools
    """Whether money moved where there is no valuation."""
    no_capital: Bools
    """Whether a day earned or lost with nothing (or less) at its start."""

    @property
    def count(self) -> Counts:
        """Returns of each portfolio."""
        counts: Counts = np.count_nonzero(~np.isnan(self.daily), axis=1)
        return counts

    @property
    def growth(self) -> Floats:
        """Worth of one rupee at each close, from 1 at the start; flat on days without a return."""
        factors: Floats = 1 + np.nan_to_num(self.daily)
        return np.cumprod(factors, axis=1, dtype=np.float64)

    @property
    def span_days(self) -> Floats:
        """Calendar days from the first day to the last valuation."""
        if not len(self.days):
            return np.zeros(len(self.first))
        spans = self.days[self.last] - self.days[np.minimum(self.first, len(self.days) - 1)]
        return np.maximum(spans.astype(np.float64), 0)

    @property
    def unknown(self) -> tuple[tuple[Bools, Reason], ...]:
        """What makes every figure of the chain unknown."""
        return (
            (self.last < self.first, Reason.NO_HISTORY),
            (self.unpriced, Reason.MISSING_VALUATION),
            (self.no_capital, Reason.NO_CAPITAL),
            (self.count == 0, Reason.TOO_FEW_RETURNS),
        )


def daily_returns(histories: Histories) -> Returns:
    """Returns of every day.

    A history that is a window into a longer one begins with its opening valuation, whose own flows are taken as in it
    already. One that begins with a deposit has a return on that very day.
    """
    values, deposits, withdrawals = histories.values, histories.deposits, histories.withdrawals
    portfolios, length = values.shape
    index = np.arange(length)
    known = ~np.isnan(values)
    begun = np.logical_or.accumulate((known & (values != 0)) | (deposits > 0), axis=1)
    first = length - np.count_nonzero(begun, axis=1)
    known &= begun
    last = np.where(known, index, -1).max(axis=1, initial=-1)
    upto = np.maximum.accumulate(np.where(known, index, -1), axis=1)
    previous = np.concatenate([np.full((portfolios, 1), -1), upto[:, :-1]], axis=1) if length else upto
    worth = np.where(known, values, 0)
    base = np.where(previous >= 0, np.take_along_axis(worth, np.maximum(previous, 0), axis=1), 0)
    capital = base + deposits
    end = worth + withdrawals
    opening = known & (previous < 0) & (deposits == 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        daily = np.where(known & ~opening & (capital > 0), end / capital - 1, np.nan)
    idle = (capital == 0) & (end == 0)
    no_capital = (known & ~opening & ~idle & ((capital <= 0) | (end < 0))).any(axis=1)
    return Returns(histories.days, daily, previous, first, last, _unpriced(histories, known, begun), no_capital)


def _unpriced(histories: Histories, known: Bools, begun: Bools) -> Bools:
    """Whether money moved on a day without a valuation, or came in the day after one."""
    missing = begun & ~known
    after = np.zeros_like(missing)
    after[:, 1:] = missing[:, :-1]
    moved = (histories.deposits > 0) | (histories.withdrawals > 0)
    unpriced: Bools = np.any((missing & moved) | (after & (histories.deposits > 0)), axis=1)
    return unpriced


def time_weighted(returns: Returns) -> Column:
    """Growth over the whole history less one."""
    total = returns.growth[:, -1] - 1 if len(returns.days) else np.full(len(returns.first), np.nan)
    return column(total, *returns.unknown)


def compound_annual(returns: Returns) -> Column:
    """CAGR: the time-weighted return as a yearly rate by the calendar, from 365 days."""
    total = time_weighted(returns).values
    span = returns.span_days
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        annual = (1 + total) ** (DAYS_A_YEAR / span) - 1
    return column(annual, *returns.unknown, (span < DAYS_A_YEAR, Reason.UNDER_ONE_YEAR))


def annualised_by_count(returns: Returns, periods_per_year: int) -> Column:
    """The time-weighted return as a yearly rate by the number of returns, from a year's worth of them."""
    total = time_weighted(returns).values
    with np.errstate(divide="ignore", invalid="ignore"):
        annual = (1 + total) ** (periods_per_year / returns.count) - 1
    return column(annual, *returns.unknown, (returns.count < periods_per_year, Reason.UNDER_ONE_YEAR))


def _flows(histories: Histories, returns: Returns) -> tuple[Floats, Floats, Bools]:
    """Net paid in by day, the opening valuation (0 if a deposit began it), and who moved money after the end."""
    net = histories.deposits - histories.withdrawals
    rows = np.arange(len(net))
    at_first = np.minimum(returns.first, net.shape[1] - 1)
    opened = histories.deposits[rows, at_first] == 0
    opening = np.where(opened, np.nan_to_num(histories.values[rows, at_first]), 0)
    net = net.copy()
    net[rows[opened], at_first[opened]] = 0
    after_end = (net != 0) & (np.arange(net.shape[1]) > returns.last[:, None])
    return net, opening, after_end.any(axis=1)


def money_weighted(histories: Histories, returns: Returns) -> Column:
    """XIRR of what was paid in and taken out and the last valuation."""
    if not len(histories.days):
        return column(np.full(len(histories), np.nan), *returns.unknown)
    net, opening, open_ended = _flows(histories, returns)
    rows = np.arange(len(net))
    flows = -net
    flows[rows, np.minimum(returns.first, net.shape[1] - 1)] -= opening
    flows[rows, returns.last] += np.nan_to_num(histories.values[rows, returns.last])
    values, reasons = rates(histories.days, flows)
    empty = returns.last < returns.first
    known = column(values, (empty, Reason.NO_HISTORY), (open_ended, Reason.MISSING_VALUATION))
    return Column(known.values, np.where(known.reasons > 0, known.reasons, reasons))


def modified_dietz(histories: Histories, returns: Returns) -> Column:
    """An estimate that needs the two end valuations only: gain over capital, each flow weighted by its time in."""
    if not len(histories.days):
        return column(np.full(len(histories), np.nan), *returns.unknown)
    net, opening, open_ended = _flows(histories, returns)
    rows = np.arange(len(net))
    ends = histories.days[returns.last]
    span = np.maximum(returns.span_days, 1)
    weights = np.clip((ends[:, None] - histories.days).astype(np.float64) / span[:, None], 0, 1)
    capital = opening + (weights * net).sum(axis=1)
    gain = np.nan_to_num(histories.values[rows, returns.last]) - opening - net.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        estimate = gain / capital
    return column(
        estimate,
        (returns.last < returns.first, Reason.NO_HISTORY),
        (open_ended, Reason.MISSING_VALUATION),
        (returns.last == returns.first, Reason.TOO_FEW_RETURNS),
        (capital <= 0, Reason.NO_CAPITAL),
    )
