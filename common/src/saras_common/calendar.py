"""When the exchange trades: our own dated table of NSE holidays and special sessions.

Sources: the exchanges' yearly holiday circulars (2026: circular of 2025-12-12, with the days added later by notice).
Only weekday holidays are listed; weekends are closed unless a special session says otherwise. Days after
`LAST_KNOWN_DAY` are taken as ordinary weekdays and `is_certain` says so.
"""

from datetime import date, datetime, time, timedelta

from saras_common.clock import IST, trading_day

OPEN_AT, CLOSE_AT = time(9, 15), time(15, 30)
"""The continuous session, Indian time."""

_HOLIDAYS = frozenset(
    date.fromisoformat(day)
    for day in [
        "2025-02-26",
        "2025-03-14",
        "2025-03-31",
        "2025-04-10",
        "2025-04-14",
        "2025-04-18",
        "2025-05-01",
        "2025-08-15",
        "2025-08-27",
        "2025-10-02",
        "2025-10-21",
        "2025-10-22",
        "2025-11-05",
        "2025-12-25",
        "2026-01-15",
        "2026-01-26",
        "2026-03-03",
        "2026-03-26",
        "2026-03-31",
        "2026-04-03",
        "2026-04-14",
        "2026-05-01",
        "2026-05-28",
        "2026-06-26",
        "2026-09-14",
        "2026-10-02",
        "2026-10-20",
        "2026-11-10",
        "2026-11-24",
        "2026-12-25",
    ]
)
_FULL_SPECIAL_DAYS = frozenset({date(2025, 2, 1), date(2026, 2, 1)})
"""Weekend days with an ordinary session: the Union Budget."""

FIRST_KNOWN_DAY, LAST_KNOWN_DAY = date(2025, 1, 1), date(2026, 12, 31)


def is_certain(day: date) -> bool:
    """Whether ``day`` is covered by the table."""
    return FIRST_KNOWN_DAY <= day <= LAST_KNOWN_DAY


def is_session_day(day: date) -> bool:
    """Whether the exchange holds its ordinary session on ``day``; an evening muhurat session alone does not count."""
    if day in _FULL_SPECIAL_DAYS:
        return True
    return day.weekday() < 5 and day not in _HOLIDAYS  # noqa: PLR2004 - Saturday is 5


def session_on_or_after(day: date) -> date:
    """The first session day not before ``day``."""
    while not is_session_day(day):
        day += timedelta(days=1)
    return day


def session_hours(day: date) -> tuple[datetime, datetime]:
    """Opening and closing instants of the session on ``day`` (aware, Indian time)."""
    return datetime.combine(day, OPEN_AT, IST), datetime.combine(day, CLOSE_AT, IST)


def is_open(at: datetime) -> bool:
    """Whether the continuous session runs at ``at``: the opening instant included, the closing one not."""
    day = trading_day(at)
    opens_at, closes_at = session_hours(day)
    return is_session_day(day) and opens_at <= at < closes_at


def next_open(at: datetime) -> datetime:
    """``at`` itself while the session runs, else the next opening instant."""
    if is_open(at):
        return at
    day = trading_day(at)
    if at >= session_hours(day)[0]:
        day += timedelta(days=1)
    return session_hours(session_on_or_after(day))[0]


def sessions_between(first: date, last: date) -> int:
    """Session days after ``first`` up to and including ``last``: how many sessions something has aged."""
    return sum(is_session_day(first + timedelta(days=n)) for n in range(1, (last - first).days + 1))
