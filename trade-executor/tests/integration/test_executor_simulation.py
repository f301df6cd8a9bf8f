"""A slice of the seeded schedules, so that CI guards what the campaign proves."""

import pytest

from trade_executor.testing.schedule import Schedule, play


@pytest.mark.parametrize("first", range(0, 200, 25))
def test_schedules_of_trouble_end_balanced(first):
    assert [wrong for seed in range(first, first + 25) for wrong in play(seed)] == []


def test_a_seed_repeats():
    one, other = Schedule(17), Schedule(17)
    assert one.play() == other.play()
    assert one.world.broker.journal == other.world.broker.journal
