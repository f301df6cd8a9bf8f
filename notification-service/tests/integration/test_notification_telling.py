"""Events become messages: once each, grouped, by wishes."""

import pytest

from notification_service.models import Base
from saras_common.events import (
    Allocation,
    AllocationPosted,
    ExecutionStateChanged,
    ReconciliationCompleted,
    UserLoggedIn,
)
from saras_common.ids import new_id
from saras_common.testing import assert_no_drift


def test_models_and_migrations_agree(message_database):
    assert_no_drift(message_database.admin_url, "notification_service", Base.metadata)


def test_a_fill_is_in_the_inbox_and_on_its_way_by_mail(desk):
    user = desk.person()
    desk.tell(desk.order(user))
    (item,) = desk.inbox(user)
    assert item["kind"] == "order_filled"
    assert item["title"] == "Filled: BUY 5 NSE:INFY"
    assert item["body"] == "5 of 5 NSE:INFY were bought for ₹7,617.00, charges ₹8.12."
    assert not item["read"]
    (delivery,) = desk.deliveries(user, item["id"])
    assert (delivery["channel"], delivery["status"], delivery["attempts"]) == ("email", "PENDING", 0)


def test_forty_fills_of_a_basket_are_one_message(desk):
    user, basket = desk.person(), new_id()
    events = [desk.order(user, basket_id=basket, batch_id=new_id(), instrument=f"NSE:S{n}") for n in range(40)]
    for start in range(0, 40, 7):
        desk.tell(*events[start : start + 7])
    (item,) = desk.inbox(user)
    assert item["count"] == 40
    assert item["title"] == "40 orders traded"
    assert "40 of 40 orders are filled" in item["body"]
    assert len(desk.deliveries(user, item["id"])) == 1


def test_a_partly_filled_order_that_is_then_filled_is_one_message_whatever_comes_first(desk):
    user, batch, order = desk.person(), new_id(), new_id()
    partly = desk.order(user, "PARTIALLY_FILLED", order_id=order, batch_id=batch, filled_quantity=2)
    filled = desk.order(user, order_id=order, batch_id=batch)
    desk.tell(filled)
    desk.tell(partly)
    (item,) = desk.inbox(user)
    assert item["title"] == "Filled: BUY 5 NSE:INFY"


def test_a_message_that_grew_is_unread_again(desk):
    user, batch = desk.person(), new_id()
    desk.tell(desk.order(user, batch_id=batch))
    (item,) = desk.inbox(user)
    read = desk.call("POST", f"/notifications/{item['id']}/read", user).json()
    assert read["read"]
    assert desk.inbox(user, "?unread=true") == []
    desk.tell(desk.order(user, batch_id=batch))
    (again,) = desk.inbox(user, "?unread=true")
    assert (again["id"], again["count"]) == (item["id"], 2)


def test_only_a_change_of_kyc_is_news(desk):
    user = desk.person()
    approved = desk.user_changed(user, version=3, kyc_status="approved")
    pending = desk.user_changed(user, version=2, kyc_status="pending")
    desk.tell(approved)
    desk.tell(pending)
    desk.tell(desk.user_changed(user, version=4, kyc_status="approved"))
    assert [item["title"] for item in desk.inbox(user)] == ["You are verified"]


def test_administrators_hear_what_only_they_can_mend(desk):
    admin, user = desk.person(roles=["admin", "user"]), desk.person()
    now = desk.clock.now()
    desk.tell(
        ReconciliationCompleted(at=now, account_id="main", reconciliation_id=new_id(), balanced=True),
        ReconciliationCompleted(at=now, account_id="main", reconciliation_id=new_id(), balanced=False),
        ExecutionStateChanged(at=now, account_id="main", state="halted", reason="drill"),
        ExecutionStateChanged(at=now, account_id="main", state="login_needed"),
    )
    assert desk.inbox(user) == []
    assert {item["title"] for item in desk.inbox(admin)} == {
        "Books and broker differ: account main",
        "Execution halted: account main",
        "Broker login needed: account main",
    }


def test_only_a_new_device_is_news(desk):
    user = desk.person()
    for is_new in (False, True):
        desk.tell(
            UserLoggedIn(
                at=desk.clock.now(), user_id=user, session_id=new_id(), new_device=is_new, address="::1", agent="curl"
            )
        )
    assert [item["kind"] for item in desk.inbox(user)] == ["new_device"]


def test_allocations_of_a_batch_are_summed(desk):
    user, batch = desk.person(), new_id()

    def posting(quantity):
        part = Allocation(
            order_id=new_id(), user_id=user, quantity=quantity, value_paise=quantity * 1000, charges=(1,) * 7
        )
        return AllocationPosted(
            at=desk.clock.now(),
            account_id="main",
            batch_id=batch,
            block_id=new_id(),
            instrument="NSE:TCS",
            side="BUY",
            product="CNC",
            kind="fill",
            traded_at=desk.clock.now(),
            allocations=[part, part],
        )

    desk.tell(posting(3))
    desk.tell(posting(4))
    (item,) = desk.inbox(user)
    assert item["body"] == "BUY NSE:TCS: 14 for ₹140.00, charges ₹0.28."


def test_a_kind_nobody_wants_leaves_nothing(desk):
    user = desk.person()
    desk.choose(user, events={"funds": {"in_app": "off", "email": "off", "webhook": "off"}})
    desk.tell(desk.funds(user))
    assert desk.inbox(user) == []
    with desk.context.database.for_service() as session:
        assert session.connection().exec_driver_sql("SELECT count(*) FROM notifications").scalar() == 0


def test_quiet_hours_move_what_can_wait(desk):
    user = desk.person()
    desk.choose(user, quiet_hours={"from": "10:00", "to": "12:00"})  # the clock shows 10:30 in India
    desk.tell(desk.funds(user))
    desk.tell(
        UserLoggedIn(at=desk.clock.now(), user_id=user, session_id=new_id(), new_device=True, address="", agent="")
    )
    urgent, waits = (desk.deliveries(user, item["id"])[0] for item in desk.inbox(user))
    assert urgent["next_at"] == "2026-03-02T05:00:00Z"
    assert waits["next_at"] == "2026-03-02T06:30:00Z"


@pytest.mark.parametrize("late", [False, True])
def test_what_is_waiting_to_leave_grows_and_what_has_left_goes_again(desk, late):
    user, batch = desk.person(), new_id()
    desk.tell(desk.order(user, batch_id=batch))
    (item,) = desk.inbox(user)
    if late:
        desk.clock.advance(10)
        with desk.context.database.for_service() as session:
            session.connection().exec_driver_sql("UPDATE deliveries SET state = 'SENT', attempts = 1")
    desk.tell(desk.order(user, batch_id=batch))
    found = desk.deliveries(user, item["id"])
    assert [delivery["status"] for delivery in found] == (["SENT", "PENDING"] if late else ["PENDING"])
    assert len({delivery["id"] for delivery in found}) == len(found)
