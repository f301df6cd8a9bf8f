"""One contract, two brokers: the paper one, and Kite's client against the sandbox."""

from dataclasses import dataclass
from typing import Any

import pytest

from saras_common.clock import ManualClock, SystemClock
from trade_executor import kite
from trade_executor.broker import Because, Broker, BrokerUnavailable, NewOrder, NotAllowed, Outcome
from trade_executor.core.intents import tag_of
from trade_executor.domain import OrderEnd
from trade_executor.paper import Fault, PaperBroker
from trade_executor.testing.sandbox import SandboxProcess
from trade_executor.usecases.following import end_of


@dataclass
class Rig:
    broker: Any
    set_price: Any
    fill_half: Any
    end_login: Any
    number: int = 0

    def order(self, quantity: int = 10, side: str = "BUY", kind: str = "MARKET", **fields) -> NewOrder:
        from uuid import uuid4

        return NewOrder(
            tag_of(uuid4(), 1),
            "NSE:INFY",
            side,
            fields.pop("product", "CNC"),
            kind,
            fields.pop("validity", "DAY"),
            quantity,
            protection=300 if kind in {"MARKET", "SL-M"} else None,
            **fields,
        )

    def place(self, order: NewOrder) -> str:
        said = self.broker.place(order, lambda: None)
        assert said.outcome is Outcome.REGISTERED, said
        return said.order_id

    def row(self, order_id: str):
        return next(row for row in self.broker.orders() if row.order_id == order_id)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    process = SandboxProcess(tmp_path_factory.mktemp("sandbox"), SANDBOX_CASH="100000000", SANDBOX_RATE_LIMITS="off")
    yield process
    process.stop()


def paper_rig() -> Rig:
    broker = PaperBroker(SystemClock(), cash_paise=10**10)
    broker.prices["NSE:INFY"] = 150_000

    def end_login() -> None:
        broker.logged_in = False

    return Rig(
        broker,
        lambda paise: broker.set_price("NSE:INFY", paise),
        lambda: broker.faults.setdefault("place", []).append(Fault(fill_part=(1, 2))),
        end_login,
    )


def kite_rig(sandbox: SandboxProcess) -> Rig:
    sandbox.post("/sandbox/reset", {})
    sandbox.post("/sandbox/prices", {"NSE:INFY": "1500.00"})
    login = kite.Login(sandbox.url, "sandbox")
    token = kite.log_in(login, kite.sandbox_request_token(login), "sandbox-secret")
    return Rig(
        kite.KiteBroker(login, token),
        lambda paise: sandbox.post("/sandbox/prices", {"NSE:INFY": f"{paise // 100}.{paise % 100:02d}"}),
        lambda: sandbox.fault("place_order", "partial:0.5"),
        lambda: sandbox.fault("orders", "token_expired"),
    )


@pytest.fixture(params=["paper", "kite"])
def rig(request, sandbox) -> Rig:
    return paper_rig() if request.param == "paper" else kite_rig(sandbox)


def test_both_are_brokers(rig):
    broker: Broker = rig.broker
    assert broker.orders() == []
    assert broker.trades() == []


def test_a_market_order_fills_and_is_found_by_its_tag(rig):
    order = rig.order(10)
    number = rig.place(order)
    row = rig.row(number)
    assert end_of(row.status) is OrderEnd.COMPLETE
    assert (row.quantity, row.filled, row.instrument, row.side, row.product) == (10, 10, "NSE:INFY", "BUY", "CNC")
    assert order.tag == row.tag or order.tag in row.tags
    trades = rig.broker.order_trades(number)
    assert sum(trade.quantity for trade in trades) == 10
    assert sum(trade.value_paise for trade in trades) == 10 * 150_000
    assert trades == [trade for trade in rig.broker.trades() if trade.order_id == number]


def test_a_limit_order_waits_for_its_price(rig):
    number = rig.place(rig.order(4, kind="LIMIT", price_paise=149_000))
    assert end_of(rig.row(number).status) is None
    assert rig.row(number).filled == 0
    rig.set_price(149_000)
    assert end_of(rig.row(number).status) is OrderEnd.COMPLETE


def test_a_resting_order_can_be_made_smaller_and_cancelled(rig):
    number = rig.place(rig.order(10, kind="LIMIT", price_paise=149_000))
    assert rig.broker.modify(number, 6, lambda: None).outcome is Outcome.REGISTERED
    row = rig.row(number)
    assert (row.quantity, row.filled, row.modified) == (6, 0, True)
    assert rig.broker.cancel(number, lambda: None).outcome is Outcome.REGISTERED
    assert end_of(rig.row(number).status) is OrderEnd.CANCELLED


def test_what_has_ended_cannot_be_changed(rig):
    number = rig.place(rig.order(3))
    for said in (rig.broker.cancel(number, lambda: None), rig.broker.modify(number, 2, lambda: None)):
        assert (said.outcome, said.because) == (Outcome.NO, Because.REFUSED)


def test_a_partial_fill_is_open_with_fills_and_keeps_them_when_cancelled(rig):
    rig.fill_half()
    number = rig.place(rig.order(10))
    assert end_of(rig.row(number).status) is None
    assert rig.row(number).filled == 5
    rig.broker.cancel(number, lambda: None)
    row = rig.row(number)
    assert (end_of(row.status), row.filled) == (OrderEnd.CANCELLED, 5)


def test_immediate_or_cancel_leaves_nothing_open(rig):
    rig.fill_half()
    number = rig.place(rig.order(10, kind="LIMIT", price_paise=150_000, validity="IOC"))
    row = rig.row(number)
    assert (end_of(row.status), row.filled) == (OrderEnd.CANCELLED, 5)


def test_balances_are_the_trades(rig):
    before = rig.broker.balances()
    rig.place(rig.order(10, product="MIS"))
    after = rig.broker.balances()
    assert after.shares.get("NSE:INFY", 0) - before.shares.get("NSE:INFY", 0) == 10
    from datetime import UTC, datetime

    from saras_common.charges import order_charges
    from saras_common.clock import trading_day

    charges = order_charges("NSE", "MIS", "BUY", 10 * 150_000, trading_day(datetime.now(UTC))).total_paise
    assert before.cash_paise - after.cash_paise == 10 * 150_000 + charges


def test_an_ended_login_is_a_reason(rig):
    rig.end_login()
    with pytest.raises(BrokerUnavailable) as failed:
        rig.broker.orders()
    assert failed.value.because is Because.LOGIN_NEEDED


def test_a_guard_that_says_no_changes_nothing(rig):
    def guard() -> None:
        raise NotAllowed("no")

    assert rig.broker.place(rig.order(), guard).outcome is Outcome.NOT_SENT
    assert rig.broker.orders() == []


def test_quotes_leave_unknown_names_out(rig):
    quotes = rig.broker.quotes(["NSE:INFY", "NSE:NOSUCHNAME"])
    assert quotes["NSE:INFY"].last_paise == 150_000
    assert set(quotes) == {"NSE:INFY"}


def test_paper_orders_hide_as_long_as_told():
    from datetime import UTC, datetime

    clock = ManualClock(datetime(2026, 3, 2, 5, 0, tzinfo=UTC))
    broker = PaperBroker(clock)
    broker.prices["NSE:INFY"] = 150_000
    broker.faults["place"] = [Fault(hidden_s=5)]
    broker.place(NewOrder("t" * 20, "NSE:INFY", "BUY", "CNC", "MARKET", "DAY", 1, protection=300), lambda: None)
    assert broker.orders() == []
    clock.advance(5)
    assert len(broker.orders()) == 1
