"""Slices of the controls campaign."""

import random

import pytest
from prove import controls


@pytest.mark.parametrize("kind", controls.KINDS)
def test_nothing_passes_a_limit_of_a_user(postgres, kind):
    outcome = controls.over_one_limit(postgres, kind, 60, random.Random(3))
    assert outcome.examples == []
    assert outcome.counts["orders over a limit"] == 60


def test_nothing_passes_the_limits_of_all_together():
    outcome = controls.over_account_limits(300, 3)
    assert outcome.examples == []
    assert outcome.counts["orders over a limit"] == 300


def test_a_limit_not_set_lets_orders_pass(postgres):
    """The campaign would see it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(controls.SPENT, "orders of a day", ({}, 10))
        assert controls.over_one_limit(postgres, "orders of a day", 20, random.Random(3)).violations > 0


def test_a_runaway_loop_sends_not_a_lot_too_many():
    outcome = controls.runaway_loops(2, 3)
    assert outcome.examples == []
    assert outcome.counts["worlds with a runaway loop"] == 6


def test_the_kill_switch_stops_what_is_on_its_way():
    outcome = controls.switched_off(1, 2.0)
    assert outcome.examples == []
    assert outcome.counts["calls in the sandbox's journal"] > 0
