"""Limits of all users together, checked in the transaction that begins a send: on either store."""

from dataclasses import replace

from trade_executor.usecases.posting import OVER_LIMIT
from trade_executor.usecases.sending import SendRules

RUPEES = 100


def limited(world, **limits):
    world.leader.desk.rules = replace(world.leader.desk.rules, send=SendRules(**limits))
    return world


def test_a_broker_order_over_the_limit_never_leaves_and_its_users_are_told(both_worlds):
    world = limited(both_worlds, max_order_paise=40_000 * RUPEES)
    small, large = [world.order(10)], [world.order(20, product="MIS"), world.order(7, product="MIS")]
    world.take(*small, *large)
    world.run(15)
    assert world.statuses(*small) == ["FILLED"]
    assert world.statuses(*large) == ["REJECTED", "REJECTED"]
    assert {world.line(order).reason for order in large} == {OVER_LIMIT}
    assert len([event for event, *_ in world.broker.journal if event == "placed"]) == 1
    world.assert_balanced()


def test_a_day_is_over_when_its_limit_is_used_up_and_the_next_begins_afresh(both_worlds):
    world = limited(both_worlds, max_day_paise=40_000 * RUPEES)
    first, second = world.order(20), world.order(10)
    world.take(first)
    world.run(15)
    world.take(second)
    world.run(15)
    assert world.statuses(first, second) == ["FILLED", "REJECTED"]
    world.clock.advance(86_400)
    world.log_in()
    third = world.order(10)
    world.take(third)
    world.run(15)
    assert world.statuses(third) == ["FILLED"]
    world.assert_balanced()
