"""Contribution and Brinson-Fachler effects: worked by hand, and what must hold whatever the numbers."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_service.domain.attribution import (
    Segment,
    brinson_fachler,
    brinson_fachler_linked,
    contributions,
    exposure,
)


def test_effects_worked_by_hand():
    # benchmark 0.4·5 % + 0.6·2 % = 3.2 %, portfolio 0.7·8 % + 0.3·1 % = 5.9 %
    effects = brinson_fachler({"Equity": Segment(0.7, 0.4, 0.08, 0.05), "Debt": Segment(0.3, 0.6, 0.01, 0.02)})
    equity, debt = effects["Equity"], effects["Debt"]
    assert equity.allocation == pytest.approx(0.3 * (0.05 - 0.032))
    assert equity.selection == pytest.approx(0.4 * 0.03)
    assert equity.interaction == pytest.approx(0.3 * 0.03)
    assert debt.allocation == pytest.approx(-0.3 * (0.02 - 0.032))
    assert debt.selection == pytest.approx(0.6 * -0.01)
    assert debt.interaction == pytest.approx(-0.3 * -0.01)
    assert equity.total + debt.total == pytest.approx(0.059 - 0.032)


def test_groups_only_one_side_holds():
    nothing = float("nan")
    effects = brinson_fachler({"Gold": Segment(0.5, 0.0, 0.1, nothing), "Equity": Segment(0.5, 0.5, 0.04, 0.02),
                               "Debt": Segment(0.0, 0.5, nothing, 0.01)})  # fmt: skip
    assert (effects["Gold"].allocation, effects["Gold"].selection) == (0.0, 0.0)
    assert effects["Gold"].interaction == pytest.approx(0.5 * (0.1 - 0.015))
    assert (effects["Debt"].selection, effects["Debt"].interaction) == (0.0, 0.0)
    assert sum(one.total for one in effects.values()) == pytest.approx(0.07 - 0.015)


def test_weights_must_be_whole():
    with pytest.raises(ValueError, match="sum to 1"):
        brinson_fachler({"Equity": Segment(0.7, 1.0, 0.08, 0.05)})
    with pytest.raises(ValueError, match="everything"):
        brinson_fachler_linked([{"Equity": Segment(1.0, 1.0, -1.0, 0.05)}])


RETURN = st.floats(-0.5, 0.8)
WEIGHTS = st.lists(st.integers(0, 100), min_size=3, max_size=3).filter(any).map(lambda w: [one / sum(w) for one in w])
PERIOD = st.builds(
    lambda w, v, r, b: {name: Segment(*one) for name, one in zip("abc", zip(w, v, r, b, strict=True), strict=True)},
    WEIGHTS, WEIGHTS, st.lists(RETURN, min_size=3, max_size=3), st.lists(RETURN, min_size=3, max_size=3),
)  # fmt: skip


@given(st.lists(PERIOD, min_size=1, max_size=6))
def test_linked_effects_sum_to_the_difference_of_compounded_returns(periods):
    own = math.prod(1 + sum(one.portfolio_weight * one.portfolio_return for one in p.values()) for p in periods)
    market = math.prod(1 + sum(one.benchmark_weight * one.benchmark_return for one in p.values()) for p in periods)
    effects = brinson_fachler_linked(periods)
    assert sum(one.total for one in effects.values()) == pytest.approx(own - market, abs=1e-12)
    if len(periods) == 1:
        for name, alone in brinson_fachler(periods[0]).items():
            assert effects[name].total == pytest.approx(alone.total, abs=1e-12)


@given(
    st.lists(st.lists(st.integers(-(10**6), 10**6), min_size=3, max_size=3), min_size=1, max_size=20),
    st.integers(10**7, 10**9),
)
def test_contributions_sum_to_profit_and_to_the_time_weighted_return(days, start):
    pnl = np.array(days, dtype=float).T
    worth = start + np.cumsum(pnl.sum(axis=0))
    capital = np.concatenate([[start], worth[:-1]])
    found = contributions(["a", "b", "c"], pnl, capital)
    assert sum(one.pnl_paise for one in found) == worth[-1] - start
    assert sum(one.ratio for one in found) == pytest.approx(worth[-1] / start - 1, abs=1e-12)


def test_contribution_without_a_return_keeps_its_profit():
    lost_twice = np.array([[-300.0, 50.0]])
    assert contributions(["a"], lost_twice, np.array([200.0, 0.0]))[0].ratio is None
    assert contributions(["a"], lost_twice, np.array([200.0, 100.0]))[0].ratio is None
    assert contributions(["a"], lost_twice, np.array([200.0, 100.0]))[0].pnl_paise == -250
    # days before anything was invested do not count
    assert contributions(["a"], np.array([[0.0, 20.0]]), np.array([0.0, 200.0]))[0].ratio == pytest.approx(0.1)


def test_exposure():
    found = exposure([("IT", 300), ("Energy", 500), ("IT", 200)])
    assert [(one.group, one.value_paise, one.weight) for one in found] == [("Energy", 500, 0.5), ("IT", 500, 0.5)]
    assert exposure([("IT", 100), ("Energy", -100)])[0].weight is None
    assert exposure([]) == ()
