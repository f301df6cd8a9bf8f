"""Figures against numpy and pandas on the same closes, and the reasons for having none."""

from datetime import date, timedelta
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from smallcase_service.domain import figures, index
from smallcase_service.domain.index import Composition
from smallcase_service.domain.returns import xirr

NAMES = ["A", "B", "C"]


def closes_of(sessions, seed=3):
    dice = np.random.default_rng(seed)
    days = [date(2025, 1, 1) + timedelta(days=n) for n in range(sessions)]
    return {
        name: dict(zip(days, (100 * np.exp(np.cumsum(dice.normal(0, 0.02, sessions)))).tolist(), strict=True))
        for name in NAMES
    }


def equal(names):
    parts = [1_000_000 // len(names)] * len(names)
    parts[0] += 1_000_000 - sum(parts)
    return dict(zip(names, parts, strict=True))


def test_return_volatility_drawdown_correlation():
    closes = closes_of(400)
    frame = pd.DataFrame(closes).tail(figures.WINDOW + 1)
    daily = frame.pct_change().dropna()
    weights = equal(NAMES)
    basket = (daily * [weights[name] / 1e6 for name in NAMES]).sum(axis=1)
    found = figures.figures(weights, closes)
    assert found.sessions == 252
    assert found.expected_return == pytest.approx(basket.mean() * 252)
    assert found.volatility == pytest.approx(basket.std() * 252**0.5)
    path = pd.concat([pd.Series([1.0]), (1 + basket).cumprod()])
    assert found.max_drawdown == pytest.approx((1 - path / path.cummax()).max())
    assert found.correlation["A"]["B"] == pytest.approx(daily.corr().loc["A", "B"])


def test_too_little_history_has_a_reason_and_no_figure():
    found = figures.figures(equal(NAMES), closes_of(50))
    assert (found.expected_return, found.volatility, found.max_drawdown, found.correlation) == (None,) * 4
    assert "49 daily returns" in found.reason
    assert figures.tracking_error({"A": 1_000_000}, {"B": 1_000_000}, closes_of(50)) is None


def test_an_index_over_two_rebalances_equals_an_independent_one():
    """Equal weights, a constituent exchanged and then one more: recomputed from daily returns in pandas."""
    dice = np.random.default_rng(8)
    days = pd.bdate_range("2025-01-01", periods=300)
    frame = pd.DataFrame(
        100 * np.exp(np.cumsum(dice.normal(0, 0.02, (300, 4)), axis=0)), index=days, columns=list("ABCD")
    )
    compositions = [
        Composition(days[0].date(), equal(["A", "B", "C"])),
        Composition(days[100].date(), equal(["A", "B", "D"])),
        Composition(days[207].date(), equal(["B", "C", "D", "A"])),
    ]
    closes = {name: {day.date(): float(value) for day, value in frame[name].items()} for name in frame}
    points = index.series(compositions, closes)
    level, expected = 100.0, [100.0]
    for n, (start, end) in enumerate([(0, 100), (100, 207), (207, 299)]):
        weights = compositions[n].weights
        relative = frame.iloc[start : end + 1][list(weights)] / frame.iloc[start][list(weights)]
        path = level * (relative * [weight / 1e6 for weight in weights.values()]).sum(axis=1)
        expected += path.iloc[1:].tolist()
        level = expected[-1]
    assert [day for day, _ in points] == [day.date() for day in days]
    np.testing.assert_allclose([value for _, value in points], expected, rtol=1e-9, atol=0)


def test_a_version_waits_for_the_first_close_all_its_shares_have():
    day = [date(2025, 1, n) for n in range(1, 6)]
    closes = {"A": dict.fromkeys(day, 10.0), "B": dict(zip(day, [5.0, 5.0, 6.0, 6.0, 6.0], strict=True))}
    closes["C"] = {day[3]: 7.0, day[4]: 14.0}
    points = index.series([Composition(day[0], equal(["A", "B"])), Composition(day[1], equal(["A", "C"]))], closes)
    assert [round(value, 6) for _, value in points] == [100, 100, 110, 110, 165]


def test_splits_do_not_move_an_index():
    days = [date(2025, 1, n) for n in range(1, 4)]
    raw = dict(zip(days, [200_00, 202_00, 101_00], strict=True))
    assert list(index.adjusted(raw, [(days[2], Fraction(2))]).values()) == [100_00, 101_00, 101_00]


def test_xirr_of_a_year():
    found = xirr([(date(2025, 1, 1), -100_000), (date(2026, 1, 1), 110_000)])
    assert found.value == pytest.approx(0.1, abs=1e-12)


@pytest.mark.parametrize(
    ("flows", "why"),
    [
        ([(date(2025, 1, 1), -100)], "fewer than two"),
        ([(date(2025, 1, 1), -100), (date(2025, 1, 1), 110)], "fewer than two"),
        ([(date(2025, 1, 1), -100), (date(2025, 6, 1), -100)], "one way"),
        ([(date(2025, 1, 1), -1000), (date(2026, 1, 1), 2300), (date(2027, 1, 1), -1320)], "more than one"),
    ],
)
def test_xirr_says_why_it_is_undefined(flows, why):
    found = xirr(flows)
    assert found.value is None
    assert why in found.reason
