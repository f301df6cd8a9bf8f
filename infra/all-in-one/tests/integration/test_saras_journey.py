"""The journey of the platform's main job over HTTP alone, on both buses, with everything brokers do."""

import random

import pytest

from saras.demo.flow import rupees
from saras.demo.market import list_quotes, paise

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

A, B, C, D = "NSE:INFY", "NSE:TCS", "NSE:RELIANCE", "NSE:HDFCBANK"
OTHERS = ("NSE:ITC", "NSE:SBIN", "NSE:WIPRO", "NSE:BEL", "NSE:ONGC", "NSE:NTPC")


def prices_of(journey, *names):
    with journey.admin() as admin:
        items = admin.get("/quotes", instruments=",".join(names))["items"]
    return {item["instrument"]: item["last_price"] for item in items}


def block_of(batch, instrument, side="BUY"):
    (block,) = [b for b in batch["blocks"] if (b["instrument"], b["side"]) == (instrument, side)]
    return block


def cancel_half_way(world, block, price):
    """A quarter of a partly filled block cancels, then its rest is filled."""
    kept = {order_id: world.order(order_id)["filled_quantity"] for order_id in block[::4]}
    answers = [world.cancel(order_id) for order_id in kept]
    assert answers[0].ok
    # cutting the broker order lets the sandbox fill its rest: who came later may find the order filled
    assert all(answer.ok or (answer.status, answer.code) == (409, "conflict") for answer in answers)
    world.until(lambda: world.ended(*kept), "the cancels are done")
    world.sandbox.prices({A: price})
    world.until(lambda: world.ended(*block), "the rest of A is filled")
    for order_id, before in kept.items():
        assert world.order(order_id)["filled_quantity"] >= before
        assert world.order(order_id)["status"] in {"CANCELLED", "FILLED"}
    assert "CANCELLED" in {world.order(order_id)["status"] for order_id in kept}


def test_fifty_users_five_hundred_orders(journey, bus_environment):
    world, dice = journey(**bus_environment), random.Random(5)
    world.enrol(50)
    users, last = world.users, prices_of(world, A, C)
    far = paise(last[C]) * 8 // 100 * 10

    # one MARKET block of forty users, to be partly filled; a LIMIT that never fills
    world.sandbox.fault("place_order", "partial:0.5", count=2)
    block_a = [world.place(user, "BUY", A, dice.randint(4, 12), key=f"a{n}") for n, user in enumerate(users[:40])]
    never = world.place(users[0], "BUY", C, 2, order_type="LIMIT", price=rupees(far))
    first = world.close_window()
    world.until(lambda: world.order(block_a[0])["status"] in {"PARTIALLY_FILLED", "FILLED", "WORKING"}, "A is sent")

    def filled_of_block():
        with world.admin() as admin:
            return block_of(admin.get(f"/admin/batches/{first}"), A)["filled_quantity"]

    world.until(lambda: filled_of_block() > 0, "A is partly filled")
    cancel_half_way(world, block_a, last[A])
    assert world.order(never)["status"] == "WORKING"
    held = paise(users[0].api.get("/funds")["held"])
    assert 2 * far < held < 2 * far * 101 // 100
    world.assert_books()

    # many orders, few broker orders
    for _ in range(258):
        world.place(dice.choice(users), "BUY", dice.choice(OTHERS), dice.randint(1, 20))
    world.close_window()
    world.until(lambda: world.ended(*(set(world.orders) - {never})), "the second window")
    world.assert_books()

    # sells of what was bought, and one broker order that is rejected in the broker's book
    sells = [
        world.place(user, "SELL", item["instrument"], dice.randint(1, item["quantity"]))
        for user in users
        for item in user.api.get("/holdings")["items"][:3]
    ]
    world.sandbox.fault("place_order", "reject", count=1)
    while len(world.orders) < 500:
        world.place(dice.choice(users), "BUY", dice.choice((B, D)), dice.randint(1, 3))
    third = world.close_window()
    world.until(lambda: world.ended(*(set(world.orders) - {never})), "the third window")
    with world.admin() as admin:
        batch = admin.get(f"/admin/batches/{third}")
    rejected = [order_id for order_id, status in world.statuses().items() if status == "REJECTED"]
    assert rejected
    reasons = {world.order(order_id)["status_reason"] for order_id in rejected}
    assert all(reasons), reasons
    assert len({world.order(order_id)["instrument"] for order_id in rejected}) == 1  # one block, nobody else's
    assert batch["user_orders"] == len(world.orders) - 299
    assert batch["broker_orders"] <= len(batch["blocks"])
    assert len(world.orders) >= 500
    assert sells

    assert world.cancel(never).ok
    world.until(world.ended, "the last cancel")
    assert world.order(never)["filled_quantity"] == 0
    assert all(paise(user.api.get("/funds")["held"]) == 0 for user in users)
    world.assert_books()


KINDS = (
    "timeout_after_accept",
    "timeout_before_accept",
    "reset_after_accept",
    "reset_before_accept",
    "http_500",
    "http_502_html",
    "http_400_timed_out",
    "truncated",
    "redirect",
    "http_429",
    "reject",
    "refuse",
    "partial:0.5",
    "late_visibility:4",
    "token_expired",
    "delay:2",
)


def test_each_fault_at_the_order_route_once(journey):
    world = journey()
    world.enrol(6)
    with world.admin() as admin:
        names = [quote.instrument for quote in list_quotes(admin, len(KINDS))]
    last = prices_of(world, *names)
    for after, kind in enumerate(KINDS):
        world.sandbox.fault("place_order", kind, count=1, after=after)
    for name in names:
        for user in world.users:
            world.place(user, "BUY", name, 5)
    world.close_window()
    world.until(world.needs_login, "the token has died", 90)
    world.log_in_at_broker()
    world.until(lambda: not {"ACCEPTED", "QUEUED"} & set(world.statuses().values()), "every order is resolved", 90)
    world.sandbox.prices(last)  # what the partial fault held back
    world.until(world.ended, "every order has ended", 60)
    lost = [order_id for order_id, status in world.statuses().items() if status == "REJECTED"]
    assert len({world.order(order_id)["instrument"] for order_id in lost}) == 2  # reject and refuse, whole blocks
    assert len(lost) == 2 * len(world.users)
    assert sorted(set(world.statuses().values())) == ["FILLED", "REJECTED"]
    world.assert_books()
