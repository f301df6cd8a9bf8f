"""Slices of the messages: the whole way on PostgreSQL's bus, forged postbacks, and wrong effects that must be seen."""

import pytest
from prove import messages, postbacks
from prove.campaign import Outcome

from saras_common.db import driver

EVENTS = 1_600


@pytest.fixture
def flow(postgres):
    with messages.flow_on(postgres, 5, None) as made:
        yield made


def test_what_is_committed_takes_effect_once_and_in_order(flow):
    outcome = messages.send_through(flow, EVENTS, 0.5)
    assert outcome.examples == []
    assert outcome.counts["events committed"] == EVENTS
    assert outcome.counts["events rolled back"] > 0
    assert outcome.counts["deliveries of events"] > 2 * EVENTS
    assert outcome.counts["poison events set aside and replayed"] > 0
    assert outcome.counts["messages without meaning set aside"] == messages.NONSENSE


@pytest.mark.parametrize(
    ("happened", "said"),
    [
        ([1, 2], "event 3 of a was skipped"),
        ([1, 2, 3, 3], "event 3 of a took effect 2 times"),
        ([1, 3, 2], "events of a took effect in another order"),
        ([1, 2, 3, 4], "event 4 of a took effect 1 times"),
    ],
)
def test_wrong_effects_are_seen(flow, happened, said):
    flow.committed["a"] = [1, 2, 3]
    with flow.database.for_service() as session:
        driver(session).execute("INSERT INTO effects (stream, number) SELECT 'a', unnest(%s::int[])", [happened])
    outcome = Outcome()
    messages.judge(flow, outcome)
    assert outcome.examples == [said]


def test_nothing_in_a_postback_is_believed():
    outcome = postbacks.forged_postbacks(2 * len(postbacks.FORGERIES), 5)
    assert outcome.examples == []
    assert outcome.counts["forged or altered postbacks"] == 2 * len(postbacks.FORGERIES)
    assert outcome.counts["a true fill was seen by the same digests"] == 1
