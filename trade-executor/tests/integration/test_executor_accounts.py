"""Two broker accounts, an executor each, on one database: users' orders go to their own account and never mix."""

from datetime import timedelta

from saras_common.events import AllocationPosted, OrderProgressed
from trade_executor.engine.desk import Desk
from trade_executor.engine.leader import Leader
from trade_executor.engine.leadership import Leadership
from trade_executor.paper import PaperBroker

ACCOUNTS = ("main", "second")


def second_leader(world):
    """Another account in the world's database, its broker, and the executor that leads it."""
    broker = PaperBroker(world.clock)
    broker.prices.update(world.broker.prices)
    broker.logged_in = True
    with world.transactions() as store:
        store.ensure_account("second")
        store.save_session("second", b"token", world.clock.now() + timedelta(hours=12))
    leadership = Leadership("second", world.new_id(), world.transactions, world.clock, ttl_s=2.0, grace_s=3.0)
    desk = Desk(
        "second", world.transactions, world.clock, world.rules, leadership, world.new_id, lambda _session: broker
    )
    return broker, Leader(desk)


def run_both(world, leader, seconds):
    for _ in range(2 * seconds):
        leader.step()
        leader.desk.leadership.renew()
        world.run(0.5)


def bought(broker):
    return sorted(quantity for event, _, _, quantity in broker.journal if event == "placed")


def test_users_orders_go_to_their_own_account_and_never_mix(both_worlds):
    world = both_worlds
    other, leader = second_leader(world)
    accounts = {world.new_id(): ACCOUNTS[number % 2] for number in range(40)}
    orders = [
        world.order(1 + number, user_id=user, instrument=instrument).model_copy(update={"account_id": account})
        for number, (user, account) in enumerate(accounts.items())
        for instrument in ("NSE:INFY", "NSE:TCS")
    ]
    world.take(*orders)
    run_both(world, leader, 14)
    assert set(world.statuses(*orders)) == {"FILLED"}
    for account, broker in zip(ACCOUNTS, (world.broker, other), strict=True):
        whole = sum(order.quantity for order in orders if order.account_id == account) // 2
        assert bought(broker) == [whole, whole]
        assert broker.shares == {"NSE:INFY": whole, "NSE:TCS": whole}
    batches = {account: set() for account in ACCOUNTS}
    of_order = {order.order_id: order.account_id for order in orders}
    for event in world.told:
        if isinstance(event, AllocationPosted):
            assert {accounts[part.user_id] for part in event.allocations} <= {event.account_id}
            batches[event.account_id].add(event.batch_id)
        elif isinstance(event, OrderProgressed):
            assert len({of_order[order_id] for order_id in event.order_ids}) <= 1
    assert all(batches.values())
    assert not batches["main"] & batches["second"]


def test_an_account_that_is_down_does_not_hold_up_the_other(world):
    other, leader = second_leader(world)
    world.broker.logged_in = False
    mine, theirs = world.order(3), world.order(5).model_copy(update={"account_id": "second"})
    world.take(mine, theirs)
    run_both(world, leader, 14)
    assert world.line(theirs).status == "FILLED"
    assert world.line(mine).filled == 0
    assert (bought(other), bought(world.broker)) == ([5], [])
