import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from saras_common.money import split, split_array

weights = st.lists(st.integers(0, 10**9), min_size=1, max_size=40).filter(lambda w: sum(w) > 0)
totals = st.integers(-(10**12), 10**12)


@given(totals, weights)
def test_shares_sum_to_the_total_and_stay_within_one_of_the_exact_share(total, weight):
    shares = split(total, weight)
    assert sum(shares) == total
    whole = sum(weight)
    for share, part in zip(shares, weight, strict=True):
        assert abs(share * whole - total * part) < whole
        if part == 0:
            assert share == 0


@given(totals, weights)
def test_the_array_form_agrees_to_the_paisa(total, weight):
    assert split_array(total, np.array(weight, dtype=np.int64)).tolist() == split(total, weight)
