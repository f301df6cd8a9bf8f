"""When the market is open. ``always`` for tests and demos, ``nse`` for the exchange's own week."""

import csv
from datetime import date, datetime, time, timedelta
from importlib.resources import files
from typing import Literal

from kite_sandbox.clock import IST, day_of

OPENS, CLOSES = time(9, 15), time(15, 30)
AMO_FROM, AMO_UNTIL = time(16, 0), time(8, 58)
SATURDAY = 5

Mode = Literal["always", "nse"]


class MarketHours:
    """Sessions by day. Weekends are closed; ``closed`` and ``opened`` are the dated exceptions to that."""

    def __init__(
        self, mode: Mode, closed: frozenset[date] = frozenset(), opened: frozenset[date] = frozenset()
    ) -> None:
        self.mode = mode
        self._closed = closed
        self._opened = opened

    def is_trading_day(self, day: date) -> bool:
        """Whether there is a session on ``day``; every day has one in mode ``always``."""
        if self.mode == "always" or day in self._opened:
            return True
        return day.weekday() < SATURDAY and day not in self._closed

    def next_trading_day(self, day: date) -> date:
        """The first day with a session after ``day``."""
        following = day + timedelta(days=1)
        while not self.is_trading_day(following):
            following += timedelta(days=1)
        return following

    def is_open(self, at: datetime) -> bool:
        """Whether regular orders are taken at ``at``."""
        return self.mode == "always" or (
            self.is_trading_day(day_of(at)) and OPENS <= at.astimezone(IST).time() < CLOSES
        )

    def is_past_close(self, at: datetime) -> bool:
        """Whether the session of the day of ``at`` has ended; never in mode ``always``."""
        return self.mode == "nse" and at.astimezone(IST).time() >= CLOSES

    def takes_amo(self, at: datetime) -> bool:
        """Whether after-market orders are taken: 16:00 to 08:58, and all day when there is no session."""
        local = at.astimezone(IST).time()
        is_evening = local >= AMO_FROM or local < AMO_UNTIL
        return self.mode == "always" or is_evening or not self.is_trading_day(day_of(at))


def load_market_hours(mode: Mode) -> MarketHours:
    """Hours with the exceptions the package ships (2025 and 2026; other years know weekends only)."""
    text = files("kite_sandbox").joinpath("data/market_days.csv").read_text(encoding="utf-8")
    days: dict[str, set[date]] = {"closed": set(), "open": set()}
    for row in csv.DictReader(text.splitlines()):
        days[row["market"]].add(date.fromisoformat(row["date"]))
    return MarketHours(mode, frozenset(days["closed"]), frozenset(days["open"]))
