"""Slices of the two hands: one pause at each place, and a lease nobody looks at, which must be seen."""

from prove import hands
from prove.campaign import Outcome


def test_one_who_wakes_up_before_the_last_look_sends_nothing_and_one_behind_it_sends_once():
    outcome = Outcome()
    with hands.hands(3) as desk:
        for kind in (hands.BEFORE_CHECK, hands.AFTER_CHECK):
            hands.pause_once(desk, kind)
            hands.check(desk, outcome, kind)
        hands.settle(desk, outcome)
        hands.judge(desk, outcome)
    assert outcome.examples == []
    assert outcome.counts["pauses"] == outcome.counts["pauses of the leader"] == 2
    assert outcome.counts["broker orders"] > 0


def test_a_second_order_for_a_block_is_seen():
    accepted = {"event": "order_accepted", "exchange": "NSE", "tradingsymbol": "INFY", "quantity": 1}
    journal = [{**accepted, "tag": "a" * 18 + attempt} for attempt in ("01", "02")]
    assert hands.find_sent_twice(journal) == ["2 broker orders for the block " + "a" * 18]
    assert hands.find_sent_twice(journal[:1]) == []
