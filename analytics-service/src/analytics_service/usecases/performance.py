"""How a portfolio did: its history as arrays, and every figure with its convention."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from uuid import UUID

import numpy as np
from sqlalchemy.orm import Session

from analytics_service.book import UserBook
from analytics_service.domain.figures import Days, Figure, Floats
from analytics_service.domain.history import Histories
from analytics_service.domain.metrics import Conventions, metrics
from analytics_service.store import market, valuations
from saras_common.calendar import is_session_day

DAY = np.dtype("datetime64[D]")


@dataclass(frozen=True, slots=True, eq=False)
class UserHistories:
    """Histories and whose they are, row by row."""

    user_ids: list[UUID]
    histories: Histories


@dataclass(frozen=True, slots=True, eq=False)
class Performance:
    """One user's figures over a period. ``is_live``: the last day is today as it stands, not a close.

    ``has_opening``: the first day is the close before the period, its worth the opening one.
    """

    history: Histories
    benchmark: str
    figures: dict[str, Figure]
    is_live: bool
    has_opening: bool = False

    @property
    def last_close(self) -> date | None:
        """The newest close in it."""
        closed = self.history.days[: -1 if self.is_live else None]
        return None if len(closed) == 0 else closed[-1].item()


def day_axis(session: Session, first: date, last: date) -> Days:
    """Sessions from the first to the last close of a period: a session without a snapshot is a gap, and seen as one."""
    closed = valuations.list_close_days(session, first, last)
    if not closed:
        return np.empty(0, DAY)
    return np.union1d(np.array(closed, DAY), _sessions(closed[0], closed[-1]))


@lru_cache(64)
def _sessions(first: date, last: date) -> Days:
    """The exchange's sessions from one day to another; every user of a day asks for the same."""
    days = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return np.array([day for day in days if is_session_day(day)], DAY)


def closes_of(session: Session, instrument: str, days: Days) -> Floats:
    """An instrument's closes on ``days``, adjusted for splits and bonuses to today's shares; NaN where unknown."""
    result = np.full(len(days), np.nan)
    if len(days) == 0:
        return result
    found, closes = market.load_closes(session, instrument, days[0].item(), days[-1].item())
    at = np.searchsorted(days, found)
    fits = days[np.minimum(at, len(days) - 1)] == found
    result[at[fits]] = closes[fits]
    for _, ex_day, ratio in market.list_actions(session, [instrument]):
        result[days < np.datetime64(ex_day)] /= float(ratio)
    return result


def load_histories(session: Session, user_ids: Sequence[UUID], days: Days, benchmark: str) -> UserHistories:
    """Values and flows of users on ``days``, and the benchmark's level."""
    series = valuations.load_series(session, user_ids, days)
    level = closes_of(session, benchmark, days)
    known = level if np.isfinite(level).any() else None
    return UserHistories(series.user_ids, Histories(days, series.values, series.deposits, series.withdrawals, known))


def measure(histories: Histories, risk_free: float) -> Iterable[dict[str, Figure]]:
    """Every figure of every row."""
    return metrics(histories, Conventions(risk_free=risk_free))


def get_performance(
    session: Session,
    user_id: UUID,
    *,
    first: date | None,
    last: date | None,
    benchmark: str,
    risk_free: float,
    now: tuple[date, UserBook] | None = None,
) -> Performance:
    """A user's figures over a period, its whole history unless told; ``now`` adds today as it stands.

    A period that begins inside the history takes the worth at the close before it as paid in.
    """
    days = day_axis(session, date.min, last or date.max)
    histories = load_histories(session, [user_id], days, benchmark).histories if len(days) else _none()
    if len(histories) == 0:
        histories = _none()
    is_live = False
    if now is not None and (last is None or last >= now[0]) and (len(days) == 0 or days[-1] < np.datetime64(now[0])):
        histories, is_live = _with_today(histories, *now), True
    whole = histories
    if first is not None:
        histories = _since(histories, first)
    figures = next(iter(measure(histories, risk_free))) if histories.values.size else _unknown()
    return Performance(histories, benchmark, figures, is_live, has_opening=histories is not whole)


def _none() -> Histories:
    empty = np.empty((1, 0))
    return Histories(np.empty(0, DAY), empty, empty, empty)


def _unknown() -> dict[str, Figure]:
    """What is said of a portfolio nothing is known of: every figure, with the reason."""
    nothing = np.full((1, 1), np.nan)
    nought = np.zeros((1, 1))
    return metrics(Histories(np.array(["1970-01-01"], DAY), nothing, nought, nought)).of(0)


def _with_today(histories: Histories, today: date, book: UserBook) -> Histories:
    value = book.market_value
    worth = np.nan if value is None else float(book.cash + value)
    put_in = float(book.deposited) - histories.deposits.sum()
    taken_out = float(book.withdrawn) - histories.withdrawals.sum()
    benchmark = histories.benchmark
    return Histories(
        np.append(histories.days, np.datetime64(today)),
        np.append(histories.values, [[worth]], axis=1),
        np.append(histories.deposits, [[max(put_in, 0.0)]], axis=1),
        np.append(histories.withdrawals, [[max(taken_out, 0.0)]], axis=1),
        None if benchmark is None else np.append(benchmark, np.nan),
    )


def _since(histories: Histories, first: date) -> Histories:
    start = int(np.searchsorted(histories.days, np.datetime64(first)))
    valued = np.flatnonzero(np.isfinite(histories.values[0, :start]))
    if len(valued) == 0:
        return histories
    base = int(valued[-1])
    deposits, withdrawals = histories.deposits[:, base:].copy(), histories.withdrawals[:, base:].copy()
    deposits[0, 0] = withdrawals[0, 0] = 0.0  # what came before is in the opening worth
    benchmark = histories.benchmark
    return Histories(
        histories.days[base:],
        histories.values[:, base:],
        deposits,
        withdrawals,
        None if benchmark is None else benchmark[base:],
    )
