"""What each holding earned over a period, day by day from the trade store, on closes (and today's marks)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

import numpy as np
from sqlalchemy.orm import Session

from analytics_service.book import UserBook
from analytics_service.domain.attribution import Contribution, contributions
from analytics_service.domain.figures import Days, Floats
from analytics_service.domain.history import Histories
from analytics_service.domain.marks import adjustment
from analytics_service.domain.trades import Source
from analytics_service.store import market, trades
from analytics_service.store.trades import StoredTrade
from analytics_service.usecases.performance import Performance
from saras_common.clock import IST, trading_day

CHARGES = "Charges"
Actions = list[tuple[date, Decimal]]
"""Ex-days with the new shares for one old one."""

PATIENCE = timedelta(days=31)
"""How old a close may be to stand for a day without one."""

CONVENTION = (
    "profit of each holding from close to close (as traded, a day without a price keeps the last), purchases and sales"
    " counted when made, charges apart; ratios are of the time-weighted return, linked after Carino"
)


class Unknown(StrEnum):
    """Why there are no contributions."""

    TOO_SHORT = "too_few_returns"
    NO_PRICES = "no_prices"


@dataclass(frozen=True, slots=True)
class Contributions:
    """By holding and charges, largest profit first: sums to worth less opening worth less net deposits."""

    items: Sequence[Contribution] = ()
    reason: Unknown | None = None


def get_contributions(
    session: Session, user_id: UUID, performance: Performance, book: UserBook | None
) -> Contributions:
    """Over the period of ``performance``; ``book`` gives the marks of a day that is not closed yet."""
    history = _valued(performance.history)
    if len(history.days) == 0:
        return Contributions(reason=Unknown.TOO_SHORT)
    midnight = datetime.combine(history.days[-1].item() + timedelta(days=1), time(), IST)
    rows = [row for row in trades.list_trades_until(session, [user_id], midnight) if row.source == Source.PLATFORM]
    names = sorted({row.instrument for row in rows})
    live = _marks(book) if performance.is_live and book is not None else {}
    closes = [_closes(session, name, history.days, live.get(name)) for name in names]
    factors = _factors(session, names, history.days[-1].item())
    profits = _profits(rows, names, np.array(closes).reshape(len(names), len(history.days)), history.days, factors)
    capital = np.concatenate([[0.0], history.values[0, :-1]]) + history.deposits[0]
    if performance.has_opening:
        profits[:, 0], capital[0] = 0.0, history.values[0, 0]
    if not np.isfinite(profits).all():
        return Contributions(reason=Unknown.NO_PRICES)
    return Contributions([one for one in contributions([*names, CHARGES], profits, capital) if one.pnl_paise])


def _valued(histories: Histories) -> Histories:
    """The days with a worth alone; flows in between fall to the next of them."""
    known = np.flatnonzero(np.isfinite(histories.values[0]))

    def at_known(flows: Floats) -> Floats:
        return np.diff(np.cumsum(flows, axis=1)[:, known], axis=1, prepend=0.0)

    return Histories(
        histories.days[known],
        histories.values[:, known],
        at_known(histories.deposits),
        at_known(histories.withdrawals),
    )


def _marks(book: UserBook) -> Mapping[str, int]:
    return {shelf.instrument: shelf.last for shelf in book.shelves if shelf.last is not None}


def _closes(session: Session, name: str, days: Days, live: int | None) -> Floats:
    """The last close up to each day, NaN before the first; ``live`` is the mark of the last day."""
    first, last = days[0].item() - PATIENCE, days[-1].item()
    known, closes = market.load_closes(session, name, first, last)
    place = np.searchsorted(known, days, side="right")
    result: Floats = np.concatenate([[np.nan], closes])[place]
    if live is not None:
        result[-1] = live
    return result


def _factors(session: Session, names: Sequence[str], last: date) -> Mapping[str, Actions]:
    """Splits and bonuses up to ``last`` by instrument."""
    found: dict[str, Actions] = {name: [] for name in names}
    for name, ex_day, ratio in market.list_actions(session, names):
        if ex_day <= last:
            found[name].append((ex_day, ratio))
    return found


def _profits(
    rows: Sequence[StoredTrade], names: Sequence[str], closes: Floats, days: Days, actions: Mapping[str, Actions]
) -> Floats:
    """Profit by holding and day, and last what charges took; what was traded between days falls to the next.

    Shares are counted as those of the last day, whatever splits and bonuses made of them since they were bought.
    """
    places = {name: number for number, name in enumerate(names)}
    held, paid, charges = np.zeros(closes.shape), np.zeros(closes.shape), np.zeros(len(days))
    for row in rows:
        traded_on = trading_day(row.traded_at)
        day = np.searchsorted(days, np.datetime64(traded_on))
        sign = 1 if row.side == "BUY" else -1
        held[places[row.instrument], day:] += (
            sign * row.quantity * float(adjustment(actions[row.instrument], traded_on))
        )
        paid[places[row.instrument], day] += sign * row.value_paise
        charges[day] += sum(row.charges)
    divisors = np.array([[float(adjustment(actions[name], day.item())) for day in days] for name in names])
    worth = np.where(np.isclose(held, 0), 0.0, held * closes / divisors.reshape(closes.shape))
    return np.rint(np.vstack([np.diff(worth, axis=1, prepend=0.0) - paid, -charges]))
