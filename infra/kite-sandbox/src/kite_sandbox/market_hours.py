"""When the market is open. ``always`` for tests and demos, ``nse`` for the exchange's own week."""

from datetime import date, datetime, time, timedelta
from typing import Literal

from kite_sandbox.clock import IST, day_of
from saras_common import calendar

AMO_FROM, AMO_UNTIL = time(16, 0), time(8, 58)

Mode = Literal["always", "nse"]


class MarketHours:
    """Sessions by day: every day in mode ``always``, the exchange's calendar in mode ``nse``."""

    def __init__(self, mode: Mode) -> None:
        self.mode = mode

    def is_trading_day(self, day: date) -> bool:
        """Whether there is a session on ``day``."""
        return self.mode == "always" or calendar.is_session_day(day)

    def next_trading_day(self, day: date) -> date:
        """The first day with a session after ``day``."""
        following = day + timedelta(days=1)
        return following if self.mode == "always" else calendar.session_on_or_after(following)

    def is_open(self, at: datetime) -> bool:
        """Whether regular orders are taken at ``at``."""
        return self.mode == "always" or calendar.is_open(at)

    def is_past_close(self, at: datetime) -> bool:
        """Whether the session of the day of ``at`` has ended; never in mode ``always``."""
        return self.mode == "nse" and at.astimezone(IST).time() >= calendar.CLOSE_AT

    def takes_amo(self, at: datetime) -> bool:
        """Whether after-market orders are taken: 16:00 to 08:58, and all day when there is no session."""
        local = at.astimezone(IST).time()
        is_evening = local >= AMO_FROM or local < AMO_UNTIL
        return self.mode == "always" or is_evening or not self.is_trading_day(day_of(at))
