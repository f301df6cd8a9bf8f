"""The session's close: the book's figures kept day by day, once, and histories made of them."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from analytics_service.store import valuations
from analytics_service.usecases import closes
from analytics_service.usecases.closes import CloseRunning, DayPassed
from analytics_service.usecases.performance import get_performance
from saras_common.errors import Unavailable
from saras_common.events import SUBSCRIPTIONS, DayPricesRecorded

INFY, TCS = "NSE:INFY", "NSE:TCS"
D1, D2, D3 = date(2026, 3, 2), date(2026, 3, 4), date(2026, 3, 5)  # the 3rd is Holi


def performance(service, user, **period):
    with service.database.for_users(user) as session:
        return get_performance(
            session,
            user,
            **{"first": None, "last": None, "benchmark": "NSE:NIFTY 50", "risk_free": 0.0, **period},
        )


def test_a_close_keeps_what_the_book_says(service, monkeypatch):
    monkeypatch.setitem(SUBSCRIPTIONS, "somebody", frozenset({DayPricesRecorded.type}))
    user = service.user(cash=500, deposited=2000, withdrawn=100, shelves={INFY: (10, 1400, 150), TCS: (0, 0, None)})
    nobody = service.user()
    close = closes.take_close(service.context, D1)
    assert (close.day, close.users) == (D1, 1)
    (row,) = service.rows("SELECT * FROM valuations")
    assert (row.user_id, row.cash_paise, row.market_paise, row.invested_paise) == (user, 500, 1500, 1400)
    assert (row.deposited_paise, row.withdrawn_paise) == (2000, 100)
    (held,) = service.rows("SELECT instrument, since, until, quantity FROM held")
    assert held == (INFY, D1, None, 10)
    assert service.scalar("SELECT count(*) FROM valuations WHERE user_id = :u", u=nobody) == 0
    (told,) = service.told(DayPricesRecorded)
    assert {(price.instrument, price.low_paise, price.close_paise) for price in told.prices} >= {
        (INFY, 150, 150),
        (TCS, 350_000, 350_000),
    }


def test_holdings_are_written_when_they_change_and_a_day_taken_again_replaces_itself(service):
    user = service.user(cash=1, shelves={INFY: (10, 1000, 100), TCS: (1, 50, 50)})
    closes.take_close(service.context, D1)
    service.book.put(user, cash=2, shelves={INFY: (10, 1000, 120), TCS: (1, 50, 60)})
    closes.take_close(service.context, D2)
    service.book.put(user, cash=3, shelves={INFY: (7, 700, 130)})
    wanted = [(INFY, D1, D3, 10), (INFY, D3, None, 7), (TCS, D1, D3, 1)]
    for _ in range(2):
        closes.take_close(service.context, D3)
        assert service.rows("SELECT instrument, since, until, quantity FROM held ORDER BY 1, 2") == wanted
    assert service.rows("SELECT day, cash_paise FROM valuations ORDER BY 1") == [(D1, 1), (D2, 2), (D3, 3)]
    service.book.put(user, cash=3, shelves={INFY: (10, 1000, 130), TCS: (1, 50, 70)})
    closes.take_close(service.context, D3)  # it was a mistake: as on the day before
    assert service.rows("SELECT instrument, since, until, quantity FROM held ORDER BY 1, 2") == [
        (INFY, D1, None, 10),
        (TCS, D1, None, 1),
    ]
    with pytest.raises(DayPassed):
        closes.take_close(service.context, D2)


def test_pages_of_users_are_all_valued(service, monkeypatch):
    monkeypatch.setattr(closes, "USERS_AT_ONCE", 2)
    users = [service.user(cash=100 * number, deposited=100) for number in range(5)]
    assert closes.take_close(service.context, D1).users == 5
    assert service.scalar("SELECT count(*) FROM valuations") == 5
    assert sorted(service.rows("SELECT user_id, day FROM metrics")) == sorted((user, D1) for user in users)


def test_one_worker_closes_at_a_time_and_a_dead_one_is_waited_for(service):
    service.user(cash=1)
    with service.database.for_service() as session:
        assert closes.leases.take_lease(session, closes.LEASE, "another", 600)
    with pytest.raises(CloseRunning):
        closes.take_close(service.context, D1)
    service.rows("UPDATE leases SET expires_at = now() RETURNING 1")
    closes.take_close(service.context, D1)
    assert service.scalar("SELECT count(*) FROM leases") == 0


def test_a_book_that_is_down_leaves_no_half_close(service):
    service.user(cash=1)
    service.book.is_down = True
    with pytest.raises(Unavailable):
        closes.take_close(service.context, D1)
    assert service.scalar("SELECT count(*) FROM closes") == 0
    service.book.is_down = False
    closes.take_close(service.context, D1)


def test_the_close_is_due_after_the_session_and_only_where_there_was_money(service):
    at = {name: datetime(2026, 3, 4, *clock, tzinfo=UTC) for name, clock in {"open": (5, 0), "late": (10, 6)}.items()}
    user = service.user(cash=1)
    service.clock.step(at["open"])
    assert closes.due_day(service.context) is None  # nobody ever paid in
    service.move(user, 100)
    assert closes.due_day(service.context) is None  # the last session's close was before that
    service.clock.step(at["late"])
    assert closes.due_day(service.context) == D2
    closes.take_close(service.context, D2)
    assert closes.due_day(service.context) is None
    service.clock.step(at["late"] + timedelta(days=4))  # a Sunday
    assert closes.due_day(service.context) == date(2026, 3, 6)


def test_series_are_what_was_valued_and_gaps_stay_gaps(service, dice):
    days = [D1, D2, D3]
    users = [service.user(cash=1) for _ in range(3)]
    told = {}
    for number, day in enumerate(days):
        for index, user in enumerate(users):
            worth = dice.randint(1000, 9000)
            told[index, number] = worth
            last = None if (index, number) == (1, 1) else worth
            service.book.put(
                user, cash=7, deposited=1000 * (number + 1), withdrawn=10 * number * index, shelves={INFY: (1, 5, last)}
            )
        closes.take_close(service.context, day)
    axis = np.array([D1, date(2026, 3, 3), D2, D3], "datetime64[D]")
    with service.database.for_service() as session:
        series = valuations.load_series(session, users, axis)
    assert series.user_ids == sorted(users)
    order = [users.index(user) for user in series.user_ids]
    for row, index in enumerate(order):
        wanted = [told[index, 0] + 7, np.nan, np.nan if index == 1 else told[index, 1] + 7, told[index, 2] + 7]
        np.testing.assert_array_equal(series.values[row], wanted)
        np.testing.assert_array_equal(series.deposits[row], [1000, 0, 1000, 1000])
        np.testing.assert_array_equal(series.withdrawals[row], [0, 0, 10 * index, 10 * index])


def test_performance_chains_the_days_and_a_period_starts_from_the_close_before(service):
    user = service.user(cash=100_000, deposited=100_000)
    closes.take_close(service.context, D1)
    service.book.put(user, cash=110_000, deposited=100_000)
    closes.take_close(service.context, D2)
    service.book.put(user, cash=209_000, deposited=200_000)  # + 100,000, and then - 1,000
    closes.take_close(service.context, D3)
    whole = performance(service, user).figures["twr"].value
    assert whole == pytest.approx(1.1 * (209 / 210) - 1, abs=1e-12)
    later = performance(service, user, first=D3).figures["twr"].value
    assert later == pytest.approx(209 / 210 - 1, abs=1e-12)


def test_today_counts_as_it_stands(service):
    user = service.user(cash=100_000, deposited=100_000)
    closes.take_close(service.context, D1)
    service.book.put(user, cash=151_000, deposited=150_000)
    live = performance(service, user, now=(D2, service.context.book.find(user)))
    assert live.is_live
    assert live.history.deposits.tolist() == [[100_000, 50_000]]
    assert live.figures["twr"].value == pytest.approx(151 / 150 - 1, abs=1e-12)
    assert not performance(service, user, last=D1, now=(D2, service.context.book.find(user))).is_live


def test_nothing_known_is_null_with_a_reason(service):
    found = performance(service, service.user())
    assert {figure.value for figure in found.figures.values()} == {None}
    assert all(figure.reason for figure in found.figures.values())
