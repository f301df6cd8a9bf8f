"""Periods one may ask about."""

from datetime import date

import pytest

from analytics_service.api.edge import check_span
from saras_common.errors import InvalidInput


@pytest.mark.parametrize(
    ("first", "last", "field"),
    [
        (date(54, 1, 25), None, "from"),
        (None, date(9999, 1, 1), "to"),
        (date(2026, 2, 1), date(2026, 1, 1), "to"),
    ],
)
def test_a_period_is_one_of_markets(first, last, field):
    with pytest.raises(InvalidInput) as refused:
        check_span(first, last)
    assert refused.value.errors[0]["field"] == field


def test_any_part_of_it_may_be_left_open():
    check_span(None, None)
    check_span(date(2026, 1, 1), None)
