"""Dates: when an instalment or a calendar rebalance falls due, and on which session."""

import calendar
from datetime import date, timedelta
from enum import StrEnum

from saras_common.calendar import session_on_or_after


class Frequency(StrEnum):
    """How often."""

    DAILY = "daily"
    WEEKLY = "weekly"
    FORTNIGHTLY = "fortnightly"
    MONTHLY = "monthly"
    QUARTERLY = "quarterly"
    HALF_YEARLY = "half_yearly"
    YEARLY = "yearly"


_DAYS = {Frequency.DAILY: 1, Frequency.WEEKLY: 7, Frequency.FORTNIGHTLY: 14}
_MONTHS = {Frequency.MONTHLY: 1, Frequency.QUARTERLY: 3, Frequency.HALF_YEARLY: 6, Frequency.YEARLY: 12}


def nominal(start: date, frequency: Frequency, number: int) -> date:
    """The ``number``-th date counted from ``start`` (0 is ``start``); a month too short gives its last day.

    >>> nominal(date(2026, 1, 31), Frequency.MONTHLY, 1)
    datetime.date(2026, 2, 28)
    """
    if frequency in _DAYS:
        return start + timedelta(days=_DAYS[frequency] * number)
    months = start.month - 1 + _MONTHS[frequency] * number
    year, month = start.year + months // 12, months % 12 + 1
    return date(year, month, min(start.day, calendar.monthrange(year, month)[1]))


def session_of(due: date) -> date:
    """The session an instalment due on ``due`` is made in: that day's, or the next one's."""
    return session_on_or_after(due)


def first_after(start: date, frequency: Frequency, number: int, day: date) -> int:
    """The least number ≥ ``number`` whose session is after ``day``."""
    while session_of(nominal(start, frequency, number)) <= day:
        number += 1
    return number
