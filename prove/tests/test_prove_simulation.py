"""A slice of the schedules, and every planted bug found once: what the campaigns do at full size."""

import pytest
from prove.campaign import Run
from prove.planted import BUGS, search
from prove.simulation import play_some

STARTS, MOST = (1_000_000, 5_000_000), 400


def test_schedules_of_trouble_violate_nothing():
    outcome = play_some(0, 300)
    assert outcome.examples == []
    assert outcome.counts["schedules"] == 300
    for what in ("crashes", "pauses", "takeovers", "commits lost", "commits in doubt", "logins lost", "clock steps"):
        assert outcome.counts[what] > 0, what


def test_the_catalogue_has_thirty_bugs_and_more_in_every_part():
    assert len(BUGS) == len({bug.name for bug in BUGS}) >= 30
    assert {bug.where for bug in BUGS} == {"sending", "following", "book", "messages"}


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: f"{bug.where}: {bug.name}")
def test_a_planted_bug_is_found_and_gone_afterwards(bug):
    assert any(search(bug, start, MOST) for start in STARTS)
    before = [getattr(owner, name) for owner, name, _ in bug.swaps()]
    with bug.planted():
        assert [getattr(owner, name) for owner, name, _ in bug.swaps()] != before
    assert [getattr(owner, name) for owner, name, _ in bug.swaps()] == before


def test_a_run_knows_how_long_it_may_go_on():
    assert Run(seed=1, size=1, deadline=0.0).left_s < 0
