from datetime import date
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio_service.domain.holds import SLACK_PAISE, buy_hold, protected_price, worst_charges
from saras_common.charges import order_charges

DAY = date(2026, 3, 2)


@given(
    st.sampled_from(["NSE", "BSE"]),
    st.sampled_from(["CNC", "MIS", "NRML"]),
    st.sampled_from(["BUY", "SELL"]),
    st.integers(1, 10**12),
    st.lists(st.integers(0, 10**9), max_size=4),
)
def test_worst_charges_cover_every_way_the_block_is_cut(exchange, product, side, value, cuts):
    # the same value sent as several broker orders, each with its own capped brokerage
    edges = [0, *sorted(cut % value for cut in cuts), value]
    parts = [end - start for start, end in pairwise(edges)]
    charged = sum(order_charges(exchange, product, side, part, DAY).total_paise for part in parts)
    assert charged <= worst_charges(exchange, product, side, value, DAY) + len(parts)


def test_hold_of_a_delivery_buy():
    # algorithms.md §4: CNC NSE 100 @ 1500 buy is charged 178.1109
    assert buy_hold("NSE", "CNC", 100, 150_000, DAY) == 15_000_000 + 17_812 + SLACK_PAISE


@pytest.mark.parametrize(
    ("last", "band", "tick", "price"),
    [(150_000, 3, 5, 154_500), (150_001, 3, 5, 154_505), (100, 3, 5, 105), (100_000, 0, 5, 100_000)],
)
def test_the_protected_price_is_rounded_up_to_the_tick(last, band, tick, price):
    assert protected_price(last, band, tick) == price
