"""Running positions against published figures."""

from datetime import UTC, datetime, timedelta

import pytest

from analytics_service.domain.positions import Position

AT = datetime(2026, 3, 2, 5, tzinfo=UTC)


def traded(*fills):
    position = Position()
    for number, (quantity, value) in enumerate(fills):
        side = "BUY" if quantity > 0 else "SELL"
        position.apply(f"{number:03}", side, abs(quantity), value, 0, AT + timedelta(seconds=number))
    return position


def test_average_and_fifo_cost_side_by_side():
    """hledger's and Kite's conventions on one series: 109 for 3149.20 and 52 for 1684.92, then 15 sold."""
    position = traded((109, 314_920), (52, 168_492), (-15, 50_000))
    assert (position.cost, position.fifo_cost) == (438_374, 440_074)


def test_profit_with_the_net_quantity_on_the_last_price():
    """Kite Connect's documentation of positions: 50 at 280, -50 at 287, 70 at 283, last 280: 140."""
    position = traded((50, 50 * 28_000), (-50, 50 * 28_700), (70, 70 * 28_300))
    assert position.profit(28_000) == 14_000


@pytest.mark.parametrize("sign", [1, -1])
def test_a_fill_that_flips_closes_at_the_old_average_and_opens_at_its_own_price(sign):
    position = traded((sign * 10, 100_000), (-sign * 25, 25 * 12_000))
    assert position.quantity == -sign * 15
    assert position.cost == -sign * 15 * 12_000
    assert position.realised == position.fifo_realised == sign * 20_000
    assert position.side == ("short" if sign == 1 else "long")
    assert [lot.remaining for lot in position.lots if lot.remaining] == [-sign * 15]


def test_a_closed_position_is_flat_and_keeps_its_profit():
    position = traded((3, 1000), (-1, 400), (-1, 400), (-1, 400))
    assert (position.side, position.cost, position.fifo_cost, position.realised) == ("flat", 0, 0, 200)


def test_the_first_lot_goes_first_whatever_the_order_of_arrival():
    position = Position()
    position.apply("late", "BUY", 10, 2000, 0, AT + timedelta(seconds=9))
    position.apply("early", "BUY", 10, 1000, 0, AT)
    position.apply("sold", "SELL", 10, 3000, 0, AT + timedelta(seconds=10))
    assert (position.fifo_realised, position.realised) == (2000, 1500)


def test_a_true_up_after_half_was_sold_is_half_realised():
    position = traded((10, 1000), (-5, 600))
    position.apply("000", "BUY", 0, 10, 0, AT)
    assert (position.cost, position.realised, position.fifo_cost, position.fifo_realised) == (505, 95, 505, 95)


def test_a_true_up_of_a_sale_is_profit_and_of_a_short_sale_is_cost():
    position = traded((10, 1000), (-10, 1200))
    position.apply("001", "SELL", 0, 7, 0, AT)
    assert (position.realised, position.fifo_realised, position.cost) == (207, 207, 0)
    position = traded((-10, 1200))
    position.apply("000", "SELL", 0, 7, 0, AT)
    assert (position.cost, position.fifo_cost, position.realised) == (-1207, -1207, 0)


def test_closed_lots_are_forgotten_the_day_after():
    position = traded((10, 1000), (-10, 1200))
    assert [lot.remaining for lot in position.lots] == [0]
    position.apply("next", "BUY", 1, 100, 0, AT + timedelta(days=2))
    assert [lot.order_id for lot in position.lots] == ["next"]
