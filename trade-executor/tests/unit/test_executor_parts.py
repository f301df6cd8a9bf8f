"""Smaller parts: grouping, protection, cuts, reconciliation, sealing, settings, failpoints."""

import base64
import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from uuid import UUID

import numpy as np
import pytest
from pydantic import SecretStr, ValidationError

from trade_executor.app import session_ends_at
from trade_executor.core.blocks import BLOCKED, find_protection, group, hash_statement, individual_charges, plan
from trade_executor.core.cuts import decide
from trade_executor.core.ids import Ids
from trade_executor.core.reconcile import BookTotals, BrokerTotals, ExecutorTotals, compare
from trade_executor.domain import Batch, BatchState, BlockKey, BrokerOrder, Demand, OrderEnd
from trade_executor.failpoints import NAMES, parse
from trade_executor.sealing import Sealer, Unreadable
from trade_executor.settings import Settings

NOW = datetime(2026, 3, 2, 5, 0, tzinfo=UTC)
BATCH = Batch(UUID(int=1), "main", BatchState.CLOSED, NOW)


def demand(number, **fields):
    base = Demand(
        UUID(int=number), UUID(int=1000 + number), "main", BATCH.id, "NSE:INFY", "BUY", "MARKET", "CNC", "DAY", 10,
        None, None, 103_000, False, number,
    )  # fmt: skip
    return base._replace(**fields)


def planned(*demands, **more):
    numbers = iter(range(10**6, 10**7))
    arguments = {"marks": {}, "blocked": frozenset(), "owed": {}, **more}
    return plan(BATCH, group(demands), new_id=lambda: UUID(int=next(numbers)), **arguments)


def test_one_block_for_each_way_to_trade_and_sells_first():
    demands = [
        demand(1),
        demand(2, quantity=30),
        demand(3, side="SELL"),
        demand(4, product="MIS"),
        demand(5, validity="IOC"),
        demand(6, instrument="BSE:INFY"),
        demand(7, order_type="LIMIT", price_paise=100),
        demand(8, order_type="LIMIT", price_paise=105),
        demand(9, order_type="SL-M", trigger_price_paise=100),
    ]
    blocks = planned(*demands).blocks
    assert len(blocks) == 8
    assert [block.key.side for block, _ in blocks] == ["SELL"] + ["BUY"] * 7
    together = next(statement for block, statement in blocks if len(statement) == 2)
    assert [each.int for each in together.order_ids] == [2, 1]


def test_house_orders_stand_last_and_ties_go_by_arrival():
    ((_, statement),) = planned(
        demand(1, house=True, quantity=99), demand(4, arrival=2), demand(3, arrival=1), demand(2, quantity=11)
    ).blocks
    assert [each.int for each in statement.order_ids] == [2, 3, 4, 1]


def test_the_statement_hash_pins_every_row():
    ((block, statement),) = planned(demand(1), demand(2)).blocks
    assert hash_statement(block, statement) == block.statement_hash
    changed = replace(statement, wanted=np.array([10, 11]))
    assert hash_statement(block, changed) != block.statement_hash
    assert hash_statement(block, replace(statement, credits=(Fraction(1, 3), Fraction(0)))) != block.statement_hash


def test_buys_beyond_their_hold_or_stopped_are_kept_out():
    result = planned(demand(1, cap_price_paise=100), demand(2), marks={"NSE:INFY": 101})
    assert [len(statement) for _, statement in result.blocks] == [1]
    assert [len(orders) for orders in result.refused.values()] == [1]
    stopped = planned(demand(1), demand(2, side="SELL"), blocked=frozenset({"NSE:INFY"}))
    assert stopped.refused == {BLOCKED: (UUID(int=1),)}
    assert [block.key.side for block, _ in stopped.blocks] == ["SELL"]


def test_credit_counts_once_for_a_user_with_two_orders():
    user = UUID(int=77)
    ((_, statement),) = planned(
        demand(1, user_id=user), demand(2, user_id=user), owed={("NSE:INFY", user): Fraction(1, 2)}
    ).blocks
    assert statement.credits == (Fraction(1, 2), Fraction(0))


def test_the_tightest_hold_sets_the_band():
    ((block, statement),) = planned(demand(1, cap_price_paise=103_000), demand(2, cap_price_paise=101_500)).blocks
    kept = np.array([True, True])
    assert find_protection(block, statement, kept, 100_000, 300) == 150
    assert find_protection(block, statement, np.array([True, False]), 100_000, 300) == 300
    assert find_protection(block, statement, kept, None, 300) == 300
    assert find_protection(block, statement, kept, 102_000, 300) == 0


def test_charges_saved_are_brokerage_and_depository_fees():
    day = date(2026, 3, 2)
    key = BlockKey("NSE:INFY", "SELL", "CNC", "MARKET", "DAY", None, None)
    assert individual_charges(key, np.array([1, 2, 3]), 150_000, day) == 3 * 1534
    intraday = key._replace(product="MIS")
    assert individual_charges(intraday, np.array([1, 1000]), 150_000, day) == 45 + 2000
    assert individual_charges(key._replace(side="BUY"), np.array([5]), 150_000, day) == 0


def order(number, quantity, filled=0, **fields):
    return BrokerOrder("main", str(number), UUID(int=1), UUID(int=2), quantity, date(2026, 3, 2), filled, **fields)


def test_cuts_take_the_newest_first_and_never_below_what_is_filled():
    old, new = order(1, 100, 40), order(2, 50, 50)
    assert [(cut.order.broker_order_id, cut.quantity) for cut in decide(30, [old, new], NOW)] == [("1", 70)]
    assert [cut.quantity for cut in decide(60, [old], NOW)] == [None]
    assert [cut.quantity for cut in decide(500, [old], NOW)] == [None]
    assert decide(0, [old], NOW) == []
    assert decide(10, [order(3, 10, 2, end=OrderEnd.CANCELLED)], NOW) == []


def test_cuts_are_asked_again_only_after_a_while():
    asked = order(1, 100, cut_to=70, cut_at=NOW)
    assert decide(30, [asked], NOW + timedelta(seconds=1)) == []
    assert len(decide(30, [asked], NOW + timedelta(seconds=3))) == 1
    assert len(decide(40, [asked], NOW + timedelta(seconds=1))) == 1


def test_an_order_modified_too_often_is_left_until_it_can_be_cancelled():
    worn = order(1, 100, modifications=24)
    assert decide(30, [worn], NOW) == []
    assert [cut.quantity for cut in decide(100, [worn], NOW)] == [None]


def test_reconciliation_explains_what_is_on_the_way_and_shows_what_is_not():
    book = BookTotals({"NSE:INFY": 10}, {"NSE:TCS": 2}, {"NSE:INFY": 10, "NSE:TCS": 2}, 900, 5, -100, 1000)
    executor = ExecutorTotals({"NSE:INFY": 14, "NSE:TCS": 2}, -140, 1000, {"NSE:SBIN": 3}, 50)
    report = compare(book, executor, BrokerTotals({"NSE:INFY": 14, "NSE:TCS": 2, "NSE:SBIN": 4}, 915))
    assert report.differences == {"NSE:SBIN": 1}
    assert report.instruments["NSE:INFY"].unallocated == 4
    assert report.cash.unallocated == 50 + 5 - 40
    assert report.cash.difference == 0
    assert not report.balanced


def test_money_on_its_way_to_the_sandbox_is_explained():
    book = BookTotals({}, {}, {}, 700, 0, 0, 700)
    report = compare(book, ExecutorTotals({}, 0, 500), BrokerTotals({}, 500))
    assert report.cash.unallocated == -200
    assert report.balanced


def test_ids_keep_their_order_and_find_the_first():
    made = [UUID(int=n) for n in (5, 9, 5)]
    ids = Ids.of(made)
    assert list(ids) == made
    assert ids.texts == [str(each) for each in made]
    assert (ids.find(UUID(int=5)), ids.find(UUID(int=6))) == (0, None)
    assert list(ids.keep([2, 1])) == [made[2], made[1]]
    assert Ids.of(made) == ids
    assert len({ids, Ids.of(made)}) == 1


def test_a_sealed_token_opens_for_its_account_alone():
    key = base64.b64encode(b"k" * 32).decode()
    sealed = Sealer(key).seal("secret", "main")
    assert Sealer(key).unseal(sealed, "main") == "secret"
    assert b"secret" not in sealed
    with pytest.raises(Unreadable):
        Sealer(key).unseal(sealed, "other")
    with pytest.raises(Unreadable):
        Sealer(base64.b64encode(b"x" * 32).decode()).unseal(sealed, "main")


def settings(**more):
    given = {
        "database_url": SecretStr("postgresql://a"),
        "broker_url": SecretStr("postgresql://b"),
        "internal_token_key": SecretStr("k" * 32),
        "token_key": SecretStr(base64.b64encode(b"t" * 32).decode()),
    }
    return Settings(**{**given, **more})


def test_settings_of_several_accounts_and_of_live_mode():
    two = settings(kite_accounts="main:key1:secret1,second:key2:secret2")
    assert [account.id for account in two.kite_accounts] == ["main", "second"]
    assert "secret1" not in repr(two)
    live = settings(mode="live", kite_root="https://api.kite.trade")
    assert (live.opens_always, live.absence_window_s, live.ticker_url) == (False, 100.0, "wss://ws.kite.trade")
    assert settings().opens_always
    for wrong in (
        {"mode": "live", "kite_root": "http://127.0.0.1:8090"},
        {"mode": "live", "kite_root": "https://api.kite.trade", "failpoint": "after_send"},
        {"token_key": SecretStr("c2hvcnQ=")},
        {"kite_accounts": "main:key"},
        {"absence_s": 5},
    ):
        with pytest.raises(ValidationError):
            settings(**wrong)


def test_the_broker_login_ends_at_six_in_the_morning():
    assert session_ends_at(datetime(2026, 3, 2, 5, 0, tzinfo=UTC)) == datetime(2026, 3, 3, 0, 30, tzinfo=UTC)
    assert session_ends_at(datetime(2026, 3, 2, 0, 0, tzinfo=UTC)) == datetime(2026, 3, 2, 0, 30, tzinfo=UTC)


def test_failpoints_are_named_and_quiet_unless_told():
    assert len(NAMES) == len(set(NAMES)) >= 15
    parse(None)("after_send")
    parse("after_send:3")("before_send")
    with pytest.raises(ValueError, match="no failpoint"):
        parse("no_such_place")


def test_a_failpoint_stops_the_process_where_it_is_told_and_once(tmp_path):
    order = tmp_path / "told"
    script = (
        "import sys; from trade_executor.failpoints import parse; reach = parse('@' + sys.argv[1]);"
        " reach('before_send'); print('a', flush=True); reach('after_send'); reach('after_send'); print('b')"
    )
    order.write_text("after_send")
    process = subprocess.Popen([sys.executable, "-c", script, str(order)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "a\n"
    assert os.WIFSTOPPED(os.waitpid(process.pid, os.WUNTRACED)[1])
    assert not order.exists()
    process.send_signal(signal.SIGCONT)
    assert process.communicate(timeout=10)[0] == "b\n"
