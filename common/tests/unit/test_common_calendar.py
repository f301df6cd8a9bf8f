from datetime import UTC, date, datetime, timedelta

import pytest

from saras_common.calendar import (
    is_certain,
    is_open,
    is_session_day,
    next_open,
    session_hours,
    session_on_or_after,
    sessions_between,
)
from saras_common.clock import IST


def ist(*parts):
    return datetime(*parts, tzinfo=IST)


@pytest.mark.parametrize(
    ("day", "trades"),
    [
        (date(2026, 11, 20), True),
        (date(2026, 11, 21), False),  # Saturday
        (date(2026, 11, 24), False),  # Guru Nanak Jayanti
        (date(2026, 2, 1), True),  # Sunday, Union Budget
        (date(2026, 11, 8), False),  # Sunday, an evening muhurat session only
    ],
)
def test_session_days(day, trades):
    assert is_session_day(day) is trades


def test_the_session_includes_its_opening_and_not_its_closing_instant():
    opens, closes = session_hours(date(2026, 11, 20))
    assert is_open(opens)
    assert not is_open(opens - timedelta(microseconds=1))
    assert is_open(closes - timedelta(microseconds=1))
    assert not is_open(closes)
    assert is_open(datetime(2026, 11, 20, 4, 0, tzinfo=UTC))


def test_the_next_opening():
    assert next_open(ist(2026, 11, 20, 10, 0)) == ist(2026, 11, 20, 10, 0)
    assert next_open(ist(2026, 11, 20, 8, 0)) == ist(2026, 11, 20, 9, 15)
    assert next_open(ist(2026, 11, 20, 15, 30)) == ist(2026, 11, 23, 9, 15)
    assert next_open(ist(2026, 11, 23, 16, 0)) == ist(2026, 11, 25, 9, 15)  # over the holiday


def test_ageing_counts_sessions_only():
    assert sessions_between(date(2026, 11, 20), date(2026, 11, 25)) == 2
    assert sessions_between(date(2026, 11, 20), date(2026, 11, 20)) == 0


def test_days_beyond_the_table_are_marked_uncertain():
    assert is_certain(date(2026, 12, 31))
    assert not is_certain(date(2027, 1, 1))
    assert session_on_or_after(date(2027, 1, 2)) == date(2027, 1, 4)
