"""Why a portfolio did better or worse than the market: Brinson-Fachler effects by sector and by asset class.

Holdings at the last close of each month are held through the next; the effects of the months are linked. The market is
every listed share whose sector is known, by what it is worth where all issued shares are known, else in equal parts.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise
from uuid import UUID

import numpy as np
from sqlalchemy.orm import Session

from analytics_service.domain.attribution import Effects, Segment, brinson_fachler_linked
from analytics_service.domain.history import Histories
from analytics_service.domain.marks import adjustment
from analytics_service.store import market, valuations

CASH, EQUITY = "Cash", "Equity"
CONVENTION = (
    "Brinson-Fachler on holdings of each month's last close, cash included, months linked after Carino; the market is"
    " all listed shares with a known sector"
)


class Unknown(StrEnum):
    """Why there is no attribution."""

    TOO_SHORT = "too_few_returns"
    NO_PRICES = "no_prices"
    NO_SECTOR = "no_sector"
    LOST_ALL = "no_capital"


@dataclass(frozen=True, slots=True)
class Attribution:
    """Effects by group, or none and the reason."""

    sectors: Mapping[str, Effects]
    asset_classes: Mapping[str, Effects]
    reason: Unknown | None = None


@dataclass(frozen=True, slots=True)
class _Part:
    """Something held over one period: its group, worth at the start (any unit), and return."""

    group: str
    worth: float
    gain: float


class _Missing(Exception):
    def __init__(self, reason: Unknown) -> None:
        super().__init__(reason)
        self.reason = reason


def get_attribution(session: Session, user_id: UUID, histories: Histories) -> Attribution:
    """Effects over the months of a history of one portfolio."""
    ends = month_ends(histories)
    if len(ends) < 2:  # noqa: PLR2004 - a period has two ends
        return Attribution({}, {}, Unknown.TOO_SHORT)
    prices = _Prices(session, ends)
    try:
        periods = [_period(session, user_id, prices, one, other) for one, other in pairwise(ends)]
        return Attribution(
            brinson_fachler_linked([_segments(own, everything) for own, everything in periods]),
            brinson_fachler_linked(
                [_segments(_as_classes(own), _as_classes(everything)) for own, everything in periods]
            ),
        )
    except _Missing as missing:
        return Attribution({}, {}, missing.reason)
    except ValueError:
        return Attribution({}, {}, Unknown.LOST_ALL)


def month_ends(histories: Histories) -> list[date]:
    """The first valued day and the last one of each month."""
    valued = histories.days[np.isfinite(histories.values[0])]
    days: list[date] = [day.item() for day in valued]
    last = {(day.year, day.month): day for day in days}
    return sorted({*days[:1], *last.values()})


class _Prices:
    """Closes on the ends of periods, as traded, and the corporate actions between them."""

    def __init__(self, session: Session, ends: Sequence[date]) -> None:
        self.closes = market.list_closes(session, ends)
        names = sorted({name for name, _ in self.closes})
        self.known = {known.name: known for known in market.list_instruments(session, names)}
        self._actions: dict[str, list[tuple[date, Decimal]]] = {}
        for name, ex_day, ratio in market.list_actions(session, names):
            self._actions.setdefault(name, []).append((ex_day, ratio))

    def gain(self, name: str, start: date, end: date) -> float | None:
        """Return of one share over a period, splits and bonuses counted."""
        before, after = self.closes.get((name, start)), self.closes.get((name, end))
        if before is None or after is None:
            return None
        actions = self._actions.get(name, [])
        grown = adjustment(actions, start) / adjustment(actions, end)
        return after * float(grown) / before - 1


def _period(
    session: Session, user_id: UUID, prices: _Prices, start: date, end: date
) -> tuple[list[_Part], list[_Part]]:
    """What the portfolio and the market held from one close to the other."""
    own = []
    for line in valuations.list_held_on(session, user_id, start):
        gain = prices.gain(line.instrument, start, end)
        if gain is None:
            raise _Missing(Unknown.NO_PRICES)
        known = prices.known.get(line.instrument)
        if known is None or known.sector is None:
            raise _Missing(Unknown.NO_SECTOR)
        own.append(_Part(known.sector, float(line.quantity * prices.closes[line.instrument, start]), gain))
    cash = sum(row.cash for _, row in valuations.list_valuations(session, user_id, start, start))
    if cash:
        own.append(_Part(CASH, float(cash), 0.0))
    return own, list(_market(prices, start, end))


def _market(prices: _Prices, start: date, end: date) -> Iterable[_Part]:
    priced = [
        (known, gain)
        for known in prices.known.values()
        if known.sector is not None and (gain := prices.gain(known.name, start, end)) is not None
    ]
    by_worth = all(known.shares_issued for known, _ in priced)
    for known, gain in priced:
        worth = float((known.shares_issued or 0) * prices.closes[known.name, start]) if by_worth else 1.0
        yield _Part(known.sector or "", worth, gain)


def _as_classes(parts: Iterable[_Part]) -> list[_Part]:
    return [_Part(part.group if part.group == CASH else EQUITY, part.worth, part.gain) for part in parts]


def _segments(own: Sequence[_Part], everything: Sequence[_Part]) -> dict[str, Segment]:
    mine, theirs = _weighed(own), _weighed(everything)
    nothing = (0.0, 0.0)
    return {
        group: Segment(
            mine.get(group, nothing)[0],
            theirs.get(group, nothing)[0],
            mine.get(group, nothing)[1],
            theirs.get(group, nothing)[1],
        )
        for group in sorted({*mine, *theirs})
    }


def _weighed(parts: Sequence[_Part]) -> dict[str, tuple[float, float]]:
    """Weight and return by group."""
    whole = sum(part.worth for part in parts)
    if whole <= 0:
        raise _Missing(Unknown.NO_PRICES)
    worth: dict[str, float] = {}
    earned: dict[str, float] = {}
    for part in parts:
        worth[part.group] = worth.get(part.group, 0.0) + part.worth
        earned[part.group] = earned.get(part.group, 0.0) + part.worth * part.gain
    return {group: (total / whole, earned[group] / total) for group, total in worth.items() if total}
