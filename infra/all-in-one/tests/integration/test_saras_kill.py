"""kill -9 between each step of an order's way, on one home, one after the other: nothing lost, nothing sent twice.

The executor ends itself by SIGKILL at a named point; the next start must go on from what is committed. Order entry is
cut off in the middle as well: what got no answer is asked again under the same Idempotency-Key. One point a step here;
every point is in test_executor_crash, most of them on the whole platform in the campaign `allinone`.
"""

import time

import pytest

from saras.client import NotReachable
from saras.errors import CannotStart, CommandFailed

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]

FAILPOINT = "SARAS_FAILPOINT"
NAMES = ("NSE:INFY", "NSE:TCS", "NSE:ITC", "NSE:SBIN")


class Round:
    """Orders placed while the platform may die at any moment."""

    def __init__(self, world):
        self.world = world
        self.count = 0
        self.unanswered = []

    def place(self, user, side, name, quantity, **terms):
        self.count += 1
        self._ask(user, side, name, quantity, f"kill-{self.count}", terms)

    def ask_again(self):
        """After a restart: what got no answer, under the same key."""
        waiting, self.unanswered = self.unanswered, []
        for wish in waiting:
            self._ask(*wish)

    def _ask(self, user, side, name, quantity, key, terms):
        try:
            self.world.place(user, side, name, quantity, key=key, **terms)
        except NotReachable:
            self.unanswered.append((user, side, name, quantity, key, terms))

    def press_on(self, point, until_s=60.0):
        """Close windows, cancel what waits far off, reconcile: whatever leads to the point; until it is reached."""
        deadline = time.monotonic() + until_s
        while self.world.platform.alive and time.monotonic() < deadline:
            try:
                with self.world.admin() as admin:
                    admin.post("/admin/execution/run")
                    for order_id, user in list(self.world.orders.items()):
                        order = user.api.get(f"/orders/{order_id}")
                        if order["order_type"] == "LIMIT" and order["status"] == "WORKING":
                            user.api.call("DELETE", f"/orders/{order_id}")
                    if point.startswith("reconciliation"):
                        admin.post("/admin/reconciliation/run")
            except (NotReachable, CommandFailed):
                pass  # it died meanwhile, or is about to
            time.sleep(0.2)
        assert not self.world.platform.alive, f"{point} was not reached"
        self.world.until_down()


def run_round(world, orders, point):
    try:
        world.restart(**{FAILPOINT: point})
    except CannotStart:
        assert not world.platform.alive
        return  # going on with what the last round left, it came to the point at once
    orders.ask_again()
    try:
        world.sandbox.fault("place_order", "timeout_after_accept" if point == "doubt_resolved" else "partial:0.5")
        for user in world.users:
            for name in NAMES:
                orders.place(user, "BUY", name, 3)
            orders.place(user, "BUY", "NSE:RELIANCE", 1, order_type="LIMIT", price="500.00")
    except (NotReachable, CommandFailed):
        pass  # the sandbox goes with the platform
    orders.press_on(point)


TAKEN_AND_SENT = ("orders_taken", "batch_planned", "after_sending_committed", "after_send", "after_answer_committed")
FILLED_AND_CUT = ("trades_read", "after_fills_committed", "doubt_resolved", "after_cut_sent", "reconciliation_asked")


@pytest.mark.parametrize("points", [TAKEN_AND_SENT, FILLED_AND_CUT], ids=["taken and sent", "filled and cut"])
def test_killed_between_each_step(journey, points):
    world = journey()
    world.enrol(3)
    assert world.platform.stop() == 0
    orders = Round(world)
    for point in points:
        run_round(world, orders, point)
    finish(world, orders)


@pytest.mark.parametrize(
    "bus_environment", ["postgres", pytest.param("rabbitmq", marks=pytest.mark.services)], indirect=True
)
def test_killed_right_after_the_answer(journey, bus_environment):
    world = journey(**bus_environment)
    world.enrol(3)
    orders = Round(world)
    for number in range(3):
        for user in world.users:
            orders.place(user, "BUY", NAMES[number], 4)
        world.platform.kill()
        world.restart()
        orders.ask_again()
    finish(world, orders)


def finish(world, orders):
    """A last, undisturbed start: everything ends and everything balances."""
    if not world.platform.alive:
        world.restart()
    orders.ask_again()
    assert orders.unanswered == []
    assert len(world.orders) == orders.count
    deadline = time.monotonic() + 75
    while not world.ended() and time.monotonic() < deadline:
        with world.admin() as admin:
            admin.post("/admin/execution/run")
            last = admin.get("/quotes", instruments=",".join(NAMES))["items"]
        world.sandbox.prices({item["instrument"]: item["last_price"] for item in last})
        for order_id, status in world.statuses().items():
            if status == "WORKING" and world.order(order_id)["order_type"] == "LIMIT":
                world.cancel(order_id)
        time.sleep(0.5)
    assert world.ended(), world.statuses()
    world.assert_books()
