"""Orders to fills and back on both stores: the same scenarios, the same books."""

import pytest

from trade_executor.broker import Answer, Because, Outcome
from trade_executor.core.certificates import verify
from trade_executor.domain import IntentState
from trade_executor.paper import Fault


def intents(world):
    with world.transactions() as store:
        return [intent for block in store.list_working("main") for intent in store.list_intents(block)]


def placed(world):
    return [entry for entry in world.broker.journal if entry[0] == "placed"]


def test_many_orders_become_one_broker_order_at_one_price(both_worlds):
    world = both_worlds
    orders = [world.order(quantity) for quantity in (3, 5, 7)]
    world.take(*orders)
    world.run(11)
    assert world.statuses(*orders) == ["FILLED"] * 3
    assert [quantity for _, _, _, quantity in placed(world)] == [15]
    assert {world.line(order).value / order.quantity for order in orders} == {150_000}
    assert all(world.line(order).settled for order in orders)
    world.assert_balanced()


def test_sells_leave_before_buys_and_are_not_netted(both_worlds):
    world = both_worlds
    world.broker.shares["NSE:INFY"] = 0
    buy, sell = world.order(10), world.order(4, side="SELL")
    world.take(buy, sell)
    world.run(11)
    assert [quantity for _, _, _, quantity in placed(world)] == [4, 10]
    world.assert_balanced()


def test_fills_in_parts_are_shared_exactly_and_trued_up(both_worlds):
    world = both_worlds
    orders = [world.order(quantity, product="MIS") for quantity in (10, 20, 31)]
    world.broker.faults["place"] = [Fault(fill_part=(1, 3))]
    world.take(*orders)
    world.run(11)
    assert world.statuses(*orders) == ["PARTIALLY_FILLED"] * 3
    assert sum(world.line(order).filled for order in orders) == 20
    number = placed(world)[0][1]
    world.broker.book[number].cap = None
    world.broker.fill(number, 17, 150_133)
    world.run(3)
    world.broker.fill(number, 24, 150_207)
    world.run(3)
    assert world.statuses(*orders) == ["FILLED"] * 3
    total = sum(world.line(order).value for order in orders)
    assert total == 20 * 150_000 + 17 * 150_133 + 24 * 150_207
    for order in orders:
        assert abs(world.line(order).value - total * order.quantity / 61) < 1
    world.assert_balanced()


def test_cancel_before_the_window_closes(both_worlds):
    world = both_worlds
    kept, gone = world.order(10), world.order(5)
    world.take(kept, gone)
    world.cancel(gone)
    world.run(11)
    assert world.statuses(kept, gone) == ["FILLED", "CANCELLED"]
    assert placed(world)[0][3] == 10


def test_cancel_that_overtakes_its_order(both_worlds):
    world = both_worlds
    order = world.order(5)
    world.cancel(order)
    world.run(1)
    world.take(order)
    world.run(11)
    assert world.statuses(order) == ["CANCELLED"]
    assert placed(world) == []


def test_cancel_half_way_keeps_what_is_posted_and_cuts_the_rest(both_worlds):
    world = both_worlds
    leaver, stayer = world.order(40), world.order(60)
    world.broker.faults["place"] = [Fault(fill_part=(1, 2))]
    world.take(leaver, stayer)
    world.run(11)
    assert [world.line(order).filled for order in (leaver, stayer)] == [20, 30]
    world.cancel(leaver)
    world.run(3)
    assert world.line(leaver).status == "CANCELLED"
    number = placed(world)[0][1]
    assert world.broker.book[number].quantity == 80
    world.broker.release(number)
    world.run(3)
    assert [world.line(order).filled for order in (leaver, stayer)] == [20, 60]
    assert world.statuses(leaver, stayer) == ["CANCELLED", "FILLED"]
    world.assert_balanced()


def test_everybody_cancels_and_the_broker_order_is_cancelled(both_worlds):
    world = both_worlds
    first, second = world.order(40), world.order(60)
    world.broker.faults["place"] = [Fault(fill_part=(1, 10))]
    world.take(first, second)
    world.run(11)
    world.cancel(first, second)
    world.run(3)
    assert world.statuses(first, second) == ["CANCELLED"] * 2
    assert [world.line(order).filled for order in (first, second)] == [4, 6]
    assert world.broker.book[placed(world)[0][1]].status == "CANCELLED"
    world.assert_balanced()


def test_what_fills_before_the_cut_belongs_to_who_cancelled(both_worlds):
    world = both_worlds
    leaver, stayer = world.order(40), world.order(60)
    world.broker.faults["place"] = [Fault(fill_part=(1, 2))]
    world.broker.faults["modify"] = [Fault(answer=Answer(Outcome.UNKNOWN), accepted=False)]
    world.take(leaver, stayer)
    world.run(11)
    world.cancel(leaver)
    world.run(0.05)
    world.broker.release(placed(world)[0][1])
    world.run(5)
    assert world.statuses(leaver, stayer) == ["FILLED", "FILLED"]
    world.assert_balanced()


def test_a_timeout_after_acceptance_is_adopted_by_tag(both_worlds):
    world = both_worlds
    order = world.order(5)
    world.broker.faults["place"] = [Fault(answer=Answer(Outcome.UNKNOWN), hidden_s=4)]
    world.take(order)
    world.run(12)
    assert [intent.state for intent in intents(world)] == [IntentState.UNKNOWN]
    assert world.line(order).status == "QUEUED"
    world.run(6)
    assert world.line(order).status == "FILLED"
    assert len(placed(world)) == 1
    world.assert_balanced()


def test_a_timeout_before_acceptance_is_absent_after_three_clean_reads(both_worlds):
    world = both_worlds
    order = world.order(5)
    world.broker.faults["place"] = [Fault(answer=Answer(Outcome.UNKNOWN), accepted=False)]
    world.take(order)
    world.run(18)
    assert [intent.state for intent in intents(world)] == [IntentState.UNKNOWN]
    world.run(8)
    assert world.line(order).status == "FILLED"
    assert [tag[-2:] for _, _, tag, _ in placed(world)] == ["02"]


def test_a_late_order_is_adopted_and_the_second_one_cut(both_worlds):
    world = both_worlds
    order = world.order(5, order_type="LIMIT", price_paise=140_000)
    world.broker.faults["place"] = [Fault(answer=Answer(Outcome.UNKNOWN), hidden_s=60)]
    world.take(order)
    world.run(30)
    assert len(placed(world)) == 2
    world.run(60)
    open_lots = sum(row.quantity - row.filled for row in world.broker.book.values() if row.status == "OPEN")
    assert open_lots == 5
    world.broker.set_price("NSE:INFY", 139_900)
    world.run(5)
    assert world.line(order).status == "FILLED"
    world.assert_balanced()


def test_a_definite_no_tells_only_its_users(both_worlds):
    world = both_worlds
    infy, tcs = world.order(5), world.order(7, instrument="NSE:TCS")
    world.broker.faults["place"] = [
        Fault(answer=Answer(Outcome.NO, because=Because.REFUSED, message="not allowed"), accepted=False)
    ]
    world.take(infy, tcs)
    world.run(11)
    assert world.statuses(infy, tcs) == ["REJECTED", "FILLED"]
    assert world.line(infy).reason == "not allowed"


def test_a_later_rejection_tells_only_its_users(both_worlds):
    world = both_worlds
    infy, tcs = world.order(5), world.order(7, instrument="NSE:TCS")
    world.broker.faults["place"] = [Fault(rejected_later=True)]
    world.take(infy, tcs)
    world.run(12)
    assert world.statuses(infy, tcs) == ["REJECTED", "FILLED"]
    assert world.line(infy).reason == "rejected by the exchange"


def test_too_many_is_tried_again(both_worlds):
    world = both_worlds
    order = world.order(5)
    world.broker.faults["place"] = [Fault(answer=Answer(Outcome.NO, because=Because.TOO_MANY), accepted=False)]
    world.take(order)
    world.run(14)
    assert world.line(order).status == "FILLED"
    assert len(placed(world)) == 1


def test_a_dead_login_leaves_the_rest_planned_until_somebody_logs_in(both_worlds):
    world = both_worlds
    orders = [world.order(5), world.order(7, instrument="NSE:TCS")]
    world.take(*orders)
    world.run(9)
    world.broker.logged_in = False
    world.run(20)
    with world.transactions() as store:
        assert not store.get_account("main").logged_in
    assert {intent.state for intent in intents(world)} == {IntentState.PLANNED}
    world.log_in()
    world.run(2)
    assert world.statuses(*orders) == ["FILLED"] * 2


def test_halted_nothing_leaves_but_cancellations(both_worlds):
    from trade_executor.usecases import control

    world = both_worlds
    resting = world.order(5, order_type="LIMIT", price_paise=140_000)
    world.take(resting)
    world.run(11)
    with world.transactions() as store:
        control.halt(store, "main", "drill", now=world.clock.now())
    late = world.order(7)
    world.take(late)
    world.cancel(resting)
    world.leader = world.new_leader(world.leader.desk.leadership._holder)
    world.run(12)
    assert len(placed(world)) == 1
    assert world.statuses(resting, late) == ["CANCELLED", "QUEUED"]
    with world.transactions() as store:
        control.resume(store, "main", now=world.clock.now())
    world.run(2)
    assert world.line(late).status == "FILLED"


def test_a_price_beyond_the_hold_keeps_the_order_out(both_worlds):
    world = both_worlds
    from trade_executor.domain import Batch  # noqa: F401

    tight, wide = world.order(5, cap_price_paise=149_000), world.order(7)
    with world.transactions() as store:
        if hasattr(store, "save_marks"):
            from trade_executor.broker import Quote

            store.save_marks({"NSE:INFY": Quote(150_000, None)}, world.clock.now())
        else:
            store._put("marks", "NSE:INFY", 150_000)
    world.take(tight, wide)
    world.run(11)
    assert world.statuses(tight, wide) == ["REJECTED", "FILLED"]
    assert placed(world)[0][3] == 7


def test_strangers_go_to_suspense_and_stop_buys(both_worlds):
    from trade_executor.broker import NewOrder

    world = both_worlds
    world.run(1)
    world.broker.place(NewOrder("", "NSE:INFY", "BUY", "CNC", "MARKET", "DAY", 9, protection=200), lambda: None)
    world.run(16)
    assert world.book.found == {"NSE:INFY": 9}
    order = world.order(5)
    world.take(order)
    world.run(11)
    assert world.line(order).status == "REJECTED"


def test_reconciliation_balances_with_fills_and_finds_what_nobody_explains(both_worlds):
    world = both_worlds
    world.take(world.order(5), world.order(7, side="SELL"))
    world.run(11)
    with world.transactions() as store:
        store.request_reconciliation("main")
    world.run(2)
    with world.transactions() as store:
        report = store.find_last_reconciliation("main").report
    assert report["balanced"], report
    world.broker.shares["NSE:TCS"] = 3
    world.take(world.order(1, instrument="NSE:TCS"))
    with world.transactions() as store:
        store.request_reconciliation("main")
    world.run(1)
    assert world.book.found == {}
    world.run(13)
    assert world.book.found == {"NSE:TCS": 3}
    with world.transactions() as store:
        store.request_reconciliation("main")
    world.run(2)
    with world.transactions() as store:
        report = store.find_last_reconciliation("main").report
    assert report["balanced"]
    assert next(line for line in report["instruments"] if line["instrument"] == "NSE:TCS")["unallocated"] == 3


def test_certificates_chain_and_verify(both_worlds):
    world = both_worlds
    world.broker.faults["place"] = [Fault(fill_part=(1, 3))]
    orders = [world.order(quantity) for quantity in (10, 20, 31)]
    world.take(*orders)
    world.run(11)
    world.cancel(orders[0])
    world.run(3)
    world.broker.release(placed(world)[0][1])
    world.run(3)
    world.take(world.order(2, side="SELL"))
    world.run(11)
    with world.transactions() as store:
        batches = [event.batch_id for event in world.told if event.type == "allocation.posted.v1"]
        documents = (
            [each for batch in dict.fromkeys(batches) for each in store.list_certificates(batch)]
            if hasattr(store, "list_certificates")
            else [
                {k: v for k, v in row.items() if k != "batch_id"} | {"batch_id": str(row["batch_id"])}
                for row in store._rows("certificates").values()
            ]
        )
    assert [verify(document) for document in documents] == [[], []]
    assert documents[1]["previous_hash"] == documents[0]["hash"]
    forged = {**documents[0], "result": {**documents[0]["result"], "allocated": [31, 20, 10]}}
    assert "allocated" in verify(forged)


@pytest.mark.parametrize("resting", [1, 2, 3, 5])
def test_resting_orders_do_not_keep_a_reconciliation_from_its_readings(world, resting):
    prices = [140_000 + 500 * number for number in range(resting)]
    orders = [world.order(order_type="LIMIT", price_paise=price) for price in prices]
    world.take(*orders)
    world.run(15)
    assert world.statuses(*orders) == ["WORKING"] * resting
    with world.transactions() as store:
        before = store.find_last_reconciliation("main")
        store.request_reconciliation("main")
    world.run(5)
    with world.transactions() as store:
        after = store.find_last_reconciliation("main")
    assert after is not None
    assert before is None or after.id != before.id
