from decimal import Decimal

import numpy as np
import pytest

from saras_common.money import average_price, paise_from, round_half_up, rupees, split, split_array


@pytest.mark.parametrize(
    ("text", "paise"),
    [("1523.40", 152340), ("0.01", 1), ("-5", -500), (12, 1200), (Decimal("1.10"), 110), ("1e2", 10000)],
)
def test_paise_are_exact(text, paise):
    assert paise_from(text) == paise


@pytest.mark.parametrize("bad", ["1.001", "NaN", "Infinity", "-Infinity", "", "abc", True, "1e30", Decimal("0.005")])
def test_what_is_not_an_amount_is_refused(bad):
    with pytest.raises(ValueError, match=r"decimal|range|amount"):
        paise_from(bad)


@pytest.mark.parametrize(("paise", "text"), [(0, "0.00"), (5, "0.05"), (-5, "-0.05"), (152340, "1523.40")])
def test_rupees_have_two_places(paise, text):
    assert rupees(paise) == text


@pytest.mark.parametrize(
    ("n", "d", "rounded"), [(5, 2, 3), (-5, 2, -3), (4, 3, 1), (-4, 3, -1), (178_110_900, 10_000, 17811)]
)
def test_halves_go_away_from_zero(n, d, rounded):
    assert round_half_up(n, d) == rounded


def test_the_average_shows_four_places_only_when_needed():
    assert average_price(300, 2) == "1.50"
    assert average_price(100, 3) == "0.3333"
    assert average_price(0, 0) is None


def test_a_split_gives_the_remainder_to_the_largest_fraction_then_the_earlier():
    # Largest remainder with the Hare quota: Wikipedia's table of 10 seats.
    assert split(10, [47000, 16000, 15900, 12000, 6000, 3100]) == [5, 2, 1, 1, 1, 0]
    assert split(100, [1, 1, 1]) == [34, 33, 33]
    assert split(-100, [1, 1, 1]) == [-34, -33, -33]
    # Interactive Brokers' NetLiq example: 700 shares over 25,000 / 50,000 / 100,000.
    assert split(700, [25000, 50000, 100000]) == [100, 200, 400]


def test_nobody_can_share_by_nothing():
    with pytest.raises(ValueError, match="positive sum"):
        split(1, [0, 0])
    with pytest.raises(ValueError, match="positive sum"):
        split_array(1, np.array([0, 0], dtype=np.int64))


def test_the_array_split_falls_back_to_exact_integers_past_64_bits():
    weights = [10**12, 10**12 + 1, 3]
    assert split_array(10**12, np.array(weights, dtype=np.int64)).tolist() == split(10**12, weights)
