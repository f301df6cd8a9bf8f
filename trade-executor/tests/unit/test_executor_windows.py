"""When a window closes."""

from datetime import UTC, datetime, timedelta

from trade_executor.core.windows import Hours, WindowRules, closes_at, find_close_reason

RULES = WindowRules(10, 100)
ALWAYS, SESSIONS = Hours(always=True), Hours(always=False)
MONDAY_NOON = datetime(2026, 3, 2, 6, 30, tzinfo=UTC)
"""12:00 in Mumbai."""


def seconds(number):
    return timedelta(seconds=number)


def test_by_time_from_its_first_order():
    assert find_close_reason(MONDAY_NOON, 1, MONDAY_NOON + seconds(9.9), RULES, SESSIONS) is None
    assert find_close_reason(MONDAY_NOON, 1, MONDAY_NOON + seconds(10), RULES, SESSIONS) == "time"


def test_by_size_and_at_once():
    assert find_close_reason(MONDAY_NOON, 100, MONDAY_NOON, RULES, ALWAYS) == "size"
    assert find_close_reason(MONDAY_NOON, 1, MONDAY_NOON, WindowRules(0, 100), ALWAYS) == "immediate"


def test_an_empty_window_stays():
    assert find_close_reason(MONDAY_NOON, 0, MONDAY_NOON + seconds(60), RULES, ALWAYS) is None


def test_orders_that_come_while_the_market_is_shut_wait_for_the_next_session():
    saturday = datetime(2026, 3, 7, 6, 0, tzinfo=UTC)
    monday_open = datetime(2026, 3, 9, 3, 45, tzinfo=UTC)
    assert find_close_reason(saturday, 500, saturday + seconds(3600), RULES, SESSIONS) is None
    assert closes_at(saturday, RULES, SESSIONS) == monday_open + seconds(10)
    assert find_close_reason(saturday, 5, monday_open + seconds(9), RULES, SESSIONS) is None
    assert find_close_reason(saturday, 5, monday_open + seconds(10), RULES, SESSIONS) == "time"


def test_holidays_are_shut():
    holi = datetime(2026, 3, 3, 6, 0, tzinfo=UTC)
    assert not SESSIONS.is_open(holi)
    assert ALWAYS.is_open(holi)


def test_a_window_that_would_outlive_the_session_closes_before_its_end():
    close = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
    opened = close - seconds(8)
    assert closes_at(opened, RULES, SESSIONS) == close - seconds(5)
    assert find_close_reason(opened, 1, close - seconds(6), RULES, SESSIONS) is None
    assert find_close_reason(opened, 1, close - seconds(5), RULES, SESSIONS) == "session_edge"
    assert find_close_reason(close - seconds(2), 1, close - seconds(2), RULES, SESSIONS) == "session_edge"
