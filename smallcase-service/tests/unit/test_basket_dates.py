"""Instalments and offers: sessions, months of all lengths, cooldowns."""

from datetime import UTC, date, datetime, timedelta

import pytest

from smallcase_service.domain.offering import Followed, LastOffer, cause_of
from smallcase_service.domain.schedule import Frequency, first_after, nominal, session_of

AT = datetime(2026, 3, 2, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("due", "session"),
    [
        (date(2026, 3, 2), date(2026, 3, 2)),
        (date(2026, 3, 3), date(2026, 3, 4)),  # Holi
        (date(2026, 1, 31), date(2026, 2, 1)),  # a Saturday; the budget's Sunday is a session
        (date(2026, 4, 3), date(2026, 4, 6)),  # Good Friday and a weekend
    ],
)
def test_an_instalment_moves_to_the_next_session(due, session):
    assert session_of(due) == session


def test_months_keep_their_day_where_they_can():
    days = [nominal(date(2026, 1, 31), Frequency.MONTHLY, n) for n in range(4)]
    assert days == [date(2026, 1, 31), date(2026, 2, 28), date(2026, 3, 31), date(2026, 4, 30)]
    assert nominal(date(2026, 11, 30), Frequency.QUARTERLY, 1) == date(2027, 2, 28)
    assert nominal(date(2026, 1, 1), Frequency.WEEKLY, 3) == date(2026, 1, 22)


def test_missed_dates_are_stepped_over():
    assert first_after(date(2026, 1, 5), Frequency.DAILY, 1, date(2026, 1, 9)) == 5
    # Saturday's and Sunday's instalments would fall on one Monday: once that is made, the next is Tuesday's
    assert first_after(date(2026, 1, 5), Frequency.DAILY, 6, date(2026, 1, 12)) == 8


def followed(**changes):
    terms = {
        "version": 1,
        "latest_version": 1,
        "rebalanced_at": AT - timedelta(days=30),
        "frequency": None,
        "band": 50_000,
        "cooldown": timedelta(days=7),
    }
    return Followed(**(terms | changes))


@pytest.mark.parametrize(
    ("changes", "drift", "last", "cause"),
    [
        ({}, 50_000, None, None),
        ({}, 50_001, None, "drift"),
        ({"rebalanced_at": AT - timedelta(days=6)}, 90_000, None, None),
        ({"band": None}, 900_000, None, None),
        ({}, 90_000, LastOffer(1, AT - timedelta(days=3), is_open=True), None),
        ({}, 90_000, LastOffer(1, AT - timedelta(days=3), is_open=False), None),
        ({}, 90_000, LastOffer(1, AT - timedelta(days=8), is_open=False), "drift"),
        ({"latest_version": 2, "rebalanced_at": AT}, 0, None, "version"),
        ({"latest_version": 2}, 0, LastOffer(2, AT - timedelta(days=1), is_open=True), None),
        ({"latest_version": 3}, 0, LastOffer(2, AT - timedelta(days=1), is_open=True), "version"),
        ({"frequency": Frequency.MONTHLY, "band": None}, 0, None, "calendar"),
        ({"frequency": Frequency.QUARTERLY, "band": None}, 0, None, None),
        ({"frequency": Frequency.MONTHLY, "rebalanced_at": datetime(2026, 2, 3, 5, tzinfo=UTC)}, 0, None, None),
    ],
)
def test_when_a_rebalance_is_offered(changes, drift, last, cause):
    assert cause_of(followed(**changes), drift, last, AT) == cause
