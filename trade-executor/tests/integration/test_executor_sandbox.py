"""The executor as it runs against the sandbox over real sockets, bus and database."""

from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from saras_common.events import CancelRequested, FundsMoved
from trade_executor.testing.platform import Platform
from trade_executor.testing.sandbox import SandboxProcess


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    process = SandboxProcess(tmp_path_factory.mktemp("sandbox"))
    yield process
    process.stop()


@pytest.fixture
def platform(sandbox, database_for):
    sandbox.post("/sandbox/reset", {})
    with funded(database_for("trade_executor"), sandbox) as made:
        yield made


@contextmanager
def funded(database, sandbox):
    made = Platform(database, sandbox)
    made.start()
    made.deposit(10**12)
    made.publish(
        [FundsMoved(at=datetime.now(UTC), movement_id=uuid4(), user_id=uuid4(), account_id="main", amount_paise=10**12)]
    )
    try:
        made.wait(lambda: made.listed > 0)
        yield made
    finally:
        made.stop()


def tags(sandbox):
    return Counter(item["tag"] for item in sandbox.journal("order_accepted"))


def test_orders_reach_the_broker_and_come_back(platform, sandbox):
    orders = [platform.order(name, quantity) for name in ("NSE:INFY", "NSE:TCS") for quantity in (3, 5, 7)]
    platform.publish(orders)
    platform.wait(lambda: platform.statuses(orders) == {"FILLED"})
    assert [item["quantity"] for item in sandbox.journal("order_accepted")] == [15, 15]


@pytest.mark.parametrize(
    "kind",
    [
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
        "late_visibility:2",
        "delay:0.5",
    ],
)
def test_each_fault_ends_with_every_share_once(platform, sandbox, kind):
    sandbox.fault("place_order", kind)
    orders = [platform.order("NSE:INFY", quantity) for quantity in (3, 5, 7)]
    platform.publish(orders)
    platform.wait(lambda: platform.statuses(orders) == {"FILLED"}, 25)
    assert max(tags(sandbox).values()) == 1
    assert sum(item["quantity"] for item in sandbox.journal("fill")) == 15


def test_refused_at_the_edge_and_rejected_later(platform, sandbox):
    sandbox.fault("place_order", "refuse")
    sandbox.fault("place_order", "reject", after=1)
    refused, rejected, fine = (platform.order(name, 5) for name in ("NSE:INFY", "NSE:SBIN", "NSE:TCS"))
    platform.publish([refused, rejected, fine])
    platform.wait(lambda: platform.statuses([fine]) == {"FILLED"})
    platform.wait(lambda: platform.statuses([refused, rejected]) == {"REJECTED"})


def test_partial_then_cancel(platform, sandbox):
    """The sandbox matches a changed order again, so the cut itself fills what is left for who stays."""
    sandbox.fault("place_order", "partial:0.5")
    leaver, stayer = platform.order("NSE:INFY", 40), platform.order("NSE:INFY", 60)
    platform.publish([leaver, stayer])
    platform.wait(lambda: platform.statuses([leaver, stayer]) == {"PARTIALLY_FILLED"})
    platform.publish([CancelRequested(at=datetime.now(UTC), order_id=leaver.order_id, account_id="main")])
    platform.wait(lambda: platform.statuses([leaver, stayer]) == {"CANCELLED", "FILLED"})
    assert [platform.book.lines[order.order_id].filled for order in (leaver, stayer)] == [20, 60]
    assert sum(item["quantity"] for item in sandbox.journal("fill")) == 80


def test_token_expired_waits_for_a_login(platform, sandbox):
    from trade_executor.app import wire

    sandbox.fault("place_order", "token_expired")
    order = platform.order("NSE:INFY", 5)
    platform.publish([order])
    wiring = wire(platform.settings)
    platform.wait(lambda: not _logged_in(wiring))
    assert platform.statuses([order]) == {"QUEUED"}
    from trade_executor import kite
    from trade_executor.app import _context
    from trade_executor.usecases import asking

    context = _context(wiring)
    asking.log_in(context, None, kite.sandbox_request_token(wiring.login(platform.settings.kite_accounts[0])))
    platform.wait(lambda: platform.statuses([order]) == {"FILLED"})
    report = asking.run_reconciliation(context, "main")
    assert report["balanced"], report
    wiring.database.dispose()


def _logged_in(wiring):
    with wiring.transactions() as store:
        return store.find_session("main") is not None


def test_a_block_above_the_freeze_quantity_is_sent_in_slices(tmp_path, database_for):
    """The limit stands in the refusal alone; nobody's order fails for being consolidated with others."""
    sandbox = SandboxProcess(tmp_path / "frozen", SANDBOX_FREEZE_QUANTITY="100")
    try:
        with funded(database_for("trade_executor"), sandbox) as platform:
            orders = [platform.order("NSE:INFY", quantity) for quantity in (70, 110, 90)]
            platform.publish(orders)
            platform.wait(lambda: platform.statuses(orders) == {"FILLED"})
            assert [item["quantity"] for item in sandbox.journal("order_accepted")] == [100, 100, 70]
            assert max(tags(sandbox).values()) == 1
    finally:
        sandbox.stop()
