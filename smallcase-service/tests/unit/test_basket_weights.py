"""Weights: exact sums, bounds, what is refused."""

from decimal import Decimal
from fractions import Fraction

import pytest

from smallcase_service.domain.proposals import difference, fraction
from smallcase_service.domain.refusals import BoundsCannotHold, WeightsDoNotSum
from smallcase_service.domain.suggesting import candidate_weights
from smallcase_service.domain.weights import UNIT, bounded, parts_of


def decimals(*texts):
    return [Decimal(text) for text in texts]


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        (("0.5", "0.5"), [500_000, 500_000]),
        (("60", "40"), [600_000, 400_000]),
        (("33.3333", "33.3333", "33.3334"), [333_333, 333_333, 333_334]),
    ],
)
def test_fractions_or_percents(given, parts):
    assert parts_of(decimals(*given)) == parts


@pytest.mark.parametrize("given", [("0.5", "0.4999"), ("50", "50.0001"), ("0.3333333", "0.6666667"), ("1", "1")])
def test_anything_but_a_whole_is_refused(given):
    with pytest.raises(WeightsDoNotSum):
        parts_of(decimals(*given))


def test_thirds_sum_to_one():
    weights = bounded([Fraction(1)] * 3, [1] * 3, [UNIT] * 3)
    assert sum(weights) == UNIT
    assert max(weights) - min(weights) <= 1


def test_caps_and_floors_hold_and_the_rest_stays_in_proportion():
    weights = bounded([Fraction(n) for n in (70, 20, 9, 1)], [1, 1, 1, 50_000], [400_000, UNIT, UNIT, UNIT])
    assert weights[0] == 400_000
    assert weights[3] == 50_000
    assert sum(weights) == UNIT
    assert abs(weights[1] * 9 - weights[2] * 20) <= 29


@pytest.mark.parametrize(("floors", "caps"), [([600_000, 500_000], [UNIT, UNIT]), ([1, 1], [400_000, 500_000])])
def test_bounds_that_cannot_hold(floors, caps):
    with pytest.raises(BoundsCannotHold):
        bounded([Fraction(1), Fraction(1)], floors, caps)


def test_what_changed_is_named():
    assert difference({"A": 500_000, "B": 500_000}, {"B": 250_000, "C": 750_000}) == {
        "added": {"C": "0.7500"},
        "removed": {"A": "0.5000"},
        "changed": {"B": {"from": "0.5000", "to": "0.2500"}},
    }


def test_a_fraction_shows_as_many_places_as_it_needs():
    assert [fraction(parts) for parts in (1_000_000, 333_333, -50_000)] == ["1.0000", "0.333333", "-0.0500"]


def test_a_methods_crumbs_are_left_out():
    weights = candidate_weights({"A": 0.6, "B": 0.389, "C": 0.011})
    assert weights is not None
    assert set(weights) == {"A", "B"}
    assert sum(weights.values()) == UNIT
    assert candidate_weights({"A": 0.99, "B": 0.01}) is None
