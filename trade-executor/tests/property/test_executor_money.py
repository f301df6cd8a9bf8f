"""One price, exact money: postings at the running average, the true-up, busts and suspense, to the paisa."""

from datetime import UTC, datetime
from uuid import UUID

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from saras_common.charges import order_charges
from saras_common.clock import trading_day
from trade_executor.core.book import FROZEN, Shares, Statement
from trade_executor.core.ids import Ids
from trade_executor.core.posting import Shared, post_average, post_exactly, share_fills
from trade_executor.domain import Block, BlockKey

DAY = trading_day(datetime(2026, 3, 2, tzinfo=UTC))
KEY = BlockKey("NSE:INFY", "BUY", "MIS", "MARKET", "DAY", None, None)


def statement_of(wanted, house=()):
    rows = sorted(wanted, reverse=True)
    return Statement(
        Ids.of(UUID(int=i + 1) for i in range(len(rows))),
        Ids.of(UUID(int=100 + i) for i in range(len(rows))),
        np.array(rows, np.int64),
        np.arange(len(rows), dtype=np.int64),
        np.zeros(len(rows), np.int64),
        np.array([i in house for i in range(len(rows))], np.bool_),
        None,
    )


def block_of(statement):
    return Block(UUID(int=1), UUID(int=2), "main", KEY, statement.quantity, "")


def charges_of(value):
    return order_charges("NSE", "MIS", "BUY", value, DAY).as_tuple() if value else (0,) * 7


def assert_exact(posted_so_far, block):
    quantity, value, charges = posted_so_far
    assert quantity == block.filled
    assert value == block.value_paise
    assert charges == sum(block.charges)


def add(total, posted):
    return (
        total[0] + int(posted.lots.sum()) + posted.suspense_quantity,
        total[1] + int(posted.priced.value_paise.sum()) + posted.suspense_value_paise,
        total[2] + int(posted.priced.charges.sum()) + posted.suspense_charges_paise,
    )


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(1, 90), min_size=1, max_size=12), st.data())
def test_users_and_suspense_are_the_broker_after_every_posting(wanted, data):
    statement = statement_of(wanted)
    block, shares, told = block_of(statement), Shares.none(len(statement)), (0, 0, 0)
    while block.filled < statement.quantity:
        lots = data.draw(st.integers(1, statement.quantity - block.filled))
        value = lots * data.draw(st.integers(1, 500_000))
        if data.draw(st.booleans()) and len(wanted) > 1:
            shares = shares.flagged([data.draw(st.integers(0, len(wanted) - 1))], FROZEN)
        charges = charges_of(block.value_paise + value)
        posted = post_average(share_fills(block, statement, shares, lots, value, charges), shares)
        block, shares, told = posted.block, posted.shares, add(told, posted)
        assert_exact(told, block)
        assert (posted.lots > 0).all()
        if data.draw(st.integers(0, 9)) == 0:
            break
    final = post_exactly(Shared(block, shares.allocated, block.suspense_quantity), shares)
    told = add(told, final)
    assert_exact(told, final.block)
    assert final.block.suspense_value_paise == 0
    assert final.block.suspense_charges_paise == 0
    assert len(final.rows) == len(statement)
    exact = shares.allocated * block.value_paise / max(block.filled, 1)
    assert (np.abs(final.shares.value_paise - exact) < 1).all()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 50), min_size=1, max_size=8), st.data())
def test_a_bust_is_reversed_to_the_paisa(wanted, data):
    statement = statement_of(wanted)
    block, shares = block_of(statement), Shares.none(len(statement))
    first = data.draw(st.integers(1, statement.quantity))
    value = first * data.draw(st.integers(1, 10**6))
    posted = post_average(share_fills(block, statement, shares, first, value, charges_of(value)), shares)
    told = add((0, 0, 0), posted)
    busted = data.draw(st.integers(1, first))
    price = value // first
    left = value - busted * price if busted < first else 0
    back = post_average(
        share_fills(posted.block, statement, posted.shares, -busted, left - value, charges_of(left)), posted.shares
    )
    told = add(told, back)
    assert_exact(told, back.block)
    assert (back.lots < 0).all()
    if busted == first:
        assert not back.shares.value_paise.any()
        assert back.block.suspense_value_paise == 0


def test_clients_come_before_the_house_and_both_before_who_cancelled():
    statement = statement_of([10, 10, 10], house={1})
    shares = Shares.none(3).flagged([2], FROZEN)
    block = block_of(statement)
    posted = post_average(share_fills(block, statement, shares, 15, 15 * 100, (0,) * 7), shares)
    assert posted.shares.allocated.tolist() == [10, 5, 0]
    posted = post_average(share_fills(posted.block, statement, posted.shares, 11, 1100, (0,) * 7), posted.shares)
    assert posted.shares.allocated.tolist() == [10, 10, 6]


def test_lots_nobody_wants_go_to_suspense_with_their_value():
    statement = statement_of([10])
    block, shares = block_of(statement), Shares.none(1)
    shared = share_fills(block, statement, shares, 12, 12 * 100, (0,) * 7)
    posted = post_exactly(shared, shares)
    assert posted.suspense == (2, 200, 0)
    assert posted.shares.value_paise.tolist() == [1000]
