"""Oracles of algorithms.md §7 and of known position books."""

from datetime import UTC, datetime
from fractions import Fraction

import pytest

from portfolio_service.domain.positions import Average, Lot, close_first, exact_share

AT = datetime(2026, 3, 2, tzinfo=UTC)


def lot(name: str, quantity: int, value: int) -> Lot:
    made = Lot(name, AT)
    made.add(quantity, value)
    return made


def test_average_cost_of_the_two_purchases():
    # algorithms.md §7: buy 109 for 3149.20 and 52 for 1684.92, sell 15 -> 4383.74 by average
    position = Average()
    position.fill(109, 314_920)
    position.fill(52, 168_492)
    position.fill(-15, 40_000)
    assert position.quantity == 146
    assert position.cost == 438_374
    assert position.realised == 40_000 - (314_920 + 168_492 - 438_374)


def test_fifo_cost_of_the_two_purchases():
    # algorithms.md §7: the same by FIFO -> 4400.74
    lots = [lot("a", 109, 314_920), lot("b", 52, 168_492)]
    closing = close_first(lots, 15, 40_000)
    assert sum(part.cost for part in lots) == 440_074
    assert [part.remaining for part in lots] == [94, 52]
    assert closing.left == 0
    assert closing.realised == 40_000 - (314_920 + 168_492 - 440_074)
    assert closing.touched == [lots[0]]


def test_profit_of_a_day_of_trades():
    # algorithms.md §7: 50 @ 280, -50 @ 287, 70 @ 283, last 280 -> +140
    position = Average()
    position.fill(50, 50 * 28_000)
    position.fill(-50, 50 * 28_700)
    position.fill(70, 70 * 28_300)
    assert position.profit(28_000) == 14_000
    assert position.realised == 35_000


def test_trading_technologies_average():
    # Trading Technologies' published sequence: 12@100, 17@99, -9@101, -4@105, 3@103
    position = Average()
    for quantity, price in ((12, 100), (17, 99)):
        position.fill(quantity, Fraction(quantity * price), exact_share)
    assert float(Fraction(position.cost) / position.quantity) == pytest.approx(99.41379310344827, abs=1e-12)
    for quantity, price in ((-9, 101), (-4, 105)):
        position.fill(quantity, Fraction(-quantity * price), exact_share)
    assert float(Fraction(position.cost) / position.quantity) == pytest.approx(99.41379310344827, abs=1e-12)
    position.fill(3, Fraction(309), exact_share)
    assert position.quantity == 19
    assert float(Fraction(position.cost) / position.quantity) == pytest.approx(99.98003629764065, abs=1e-12)


def test_a_flip_closes_at_the_old_average_and_opens_at_its_own_price():
    position = Average()
    position.fill(10, 1000)
    position.fill(-15, 15 * 120)
    assert (position.quantity, position.cost, position.realised) == (-5, -600, 200)
    position.fill(5, 5 * 110)
    assert (position.quantity, position.cost, position.realised) == (0, 0, 250)


def test_a_short_that_grows_and_is_covered():
    position = Average()
    position.fill(-4, 400)
    position.fill(-4, 480)
    position.fill(8, 800)
    assert (position.quantity, position.cost, position.realised) == (0, 0, 80)


def test_what_was_paid_is_always_cost_plus_what_was_realised_against_it():
    position = Average()
    position.fill(3, 100)
    position.fill(-1, 40)
    position.fill(-1, 40)
    assert position.cost == 33
    position.fill(-1, 40)
    assert (position.cost, position.realised) == (0, 20)


def test_a_true_up_of_a_purchase_partly_sold_is_split_exactly():
    position, bought = Average(), lot("a", 10, 1000)
    position.fill(10, 1000)
    position.fill(-7, 700)
    bought.close(7, 700)
    position.correct(5, 10)
    assert (position.cost, position.realised) == (300 + 2, -3)
    assert bought.correct(5) == -3
    assert bought.cost == 302


def test_a_true_up_of_a_purchase_wholly_sold_is_all_realised():
    position = Average()
    position.fill(10, 1000)
    position.fill(-10, 1100)
    position.correct(-20, 10)
    assert (position.quantity, position.cost, position.realised) == (0, 0, 120)


def test_closing_more_than_the_lots_hold_leaves_the_rest_over():
    assert close_first([lot("a", 2, 200)], 5, 500).left == 3
