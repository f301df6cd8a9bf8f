"""kill -9 at each named place: nothing lost, nothing sent twice. Processes that are stopped: `prove.hands`."""

import time
from collections import Counter
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from saras_common.events import CancelRequested, FundsMoved
from trade_executor.failpoints import NAMES
from trade_executor.testing.platform import Platform
from trade_executor.testing.process import ExecutorProcess
from trade_executor.testing.sandbox import SandboxProcess

KILLED = -9
FUNDS = 10**12

QUICK = {"orders_taken", "after_sending_committed", "after_send", "before_fills_committed"}
"""Killed there in every run; the other places in runs that have time."""


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    process = SandboxProcess(tmp_path_factory.mktemp("sandbox"))
    yield process
    process.stop()


@pytest.fixture
def platform(sandbox, database_for):
    sandbox.post("/sandbox/reset", {})
    made = Platform(database_for("trade_executor"), sandbox, reconcile_every_s=2)
    made.start(executor=False)
    made.deposit(FUNDS)
    yield made
    made.stop()


def deposit(platform):
    moved = FundsMoved(
        at=datetime.now(UTC), movement_id=uuid4(), user_id=uuid4(), account_id="main", amount_paise=FUNDS
    )
    platform.publish([moved])


def wish_of(order):
    return CancelRequested(at=datetime.now(UTC), order_id=order.order_id, account_id="main")


def assert_once(platform, sandbox, orders):
    tags = Counter(item["tag"] for item in sandbox.journal("order_accepted"))
    assert max(tags.values()) == 1
    filled = sum(platform.book.lines[order.order_id].filled for order in orders)
    assert filled == sum(item["quantity"] for item in sandbox.journal("fill"))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in NAMES]
)
def test_killed_at(name, platform, sandbox):
    first = ExecutorProcess(platform.settings, failpoint=name)
    deposit(platform)
    sandbox.fault("place_order", "timeout_after_accept" if name == "doubt_resolved" else "partial:0.5")
    orders = [platform.order("NSE:INFY", quantity) for quantity in (30, 50, 20)]
    gone = platform.order("NSE:TCS", 5)
    platform.publish([*orders, gone, wish_of(gone)])
    deadline = time.monotonic() + 20
    while first.wait_for_its_end(0.2) is None and time.monotonic() < deadline:
        if platform.statuses(orders) == {"PARTIALLY_FILLED"}:
            platform.publish([wish_of(orders[0])])
    assert first.wait_for_its_end(1) == KILLED, f"{name} was not reached"
    second = ExecutorProcess(platform.settings)
    try:
        platform.wait(lambda: platform.statuses(orders) <= {"PARTIALLY_FILLED", "FILLED", "CANCELLED"}, 40)
        platform.publish([wish_of(order) for order in orders])
        platform.wait(lambda: platform.statuses([*orders, gone]) <= {"FILLED", "CANCELLED"}, 20)
        assert platform.statuses([gone]) == {"CANCELLED"}
        assert_once(platform, sandbox, orders)
    finally:
        second.kill()
