"""Days and periods one may ask about."""

from datetime import date

import pytest
from pydantic import TypeAdapter, ValidationError

from analytics_service.api.edge import check_span
from analytics_service.schemas import Day
from saras_common.errors import InvalidInput


@pytest.mark.parametrize("day", ["0054-01-25", "1989-12-31", "2100-01-02", "9999-01-01"])
def test_a_day_is_one_of_markets(day):
    with pytest.raises(ValidationError, match="out of range"):
        TypeAdapter(Day).validate_python(day)


def test_a_period_does_not_end_before_it_begins():
    with pytest.raises(InvalidInput) as refused:
        check_span(date(2026, 2, 1), date(2026, 1, 1))
    assert refused.value.errors[0]["field"] == "to"


def test_any_part_of_it_may_be_left_open():
    check_span(None, None)
    check_span(date(2026, 1, 1), None)
