"""Tax lots, first in first out, against worked examples."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_service.domain.tax import Action, ActionKind, LotTrade, Term, match_fifo, term_of

START = datetime(2025, 3, 3, 5, tzinfo=UTC)


def traded(*fills, days_apart=1, product="CNC", instrument="NSE:INFY"):
    """Trades of (quantity, paise in all), a day apart."""
    return [
        LotTrade(
            f"t{index:03d}", instrument, at := START + timedelta(days=index * days_apart), at.date(), *fill, product
        )
        for index, fill in enumerate(fills)
    ]


def remaining_cost(lots):
    return sum(lot.cost_paise for lot in lots.open)


def test_fifo_remaining_cost():
    # portfolio-performance, CostCalculationTest: 109 for 3149.20 and 52 for 1684.92, sell 15: 4400.74 is left
    lots = match_fifo(traded((109, 314920), (52, 168492), (-15, 53150)))
    assert remaining_cost(lots) == 440074
    assert [lot.quantity for lot in lots.open] == [94, 52]


def test_fifo_remaining_cost_with_later_purchases():
    # the same test's second case: sold between the purchases, 5360.04 is left
    lots = match_fifo(traded((109, 314920), (-15, 53150), (52, 168492), (32, 95930)))
    assert remaining_cost(lots) == 536004


def test_profit_of_the_broker_s_example():
    # support.zerodha.com, averages of the day's trades: 50 @ 280, -50 @ 287, 70 @ 283, last 280: +140
    lots = match_fifo(traded((50, 1400000), (-50, 1435000), (70, 1981000)))
    unrealised = sum(lot.quantity * 28000 - lot.cost_paise for lot in lots.open)
    assert sum(lot.gain_paise for lot in lots.closed) + unrealised == 14000


def test_a_sale_of_more_than_there_is_flips_the_position():
    lots = match_fifo(traded((10, 100000), (-15, 180000), (5, 50000), product="NRML"))
    long_part, short_part = lots.closed
    assert (long_part.quantity, long_part.gain_paise, long_part.buy_trade_id) == (10, 20000, "t000")
    # sold first at 120, bought back at 100
    assert (short_part.quantity, short_part.cost_paise, short_part.proceeds_paise) == (5, 50000, 60000)
    assert (short_part.sold_on, short_part.bought_on) == (date(2025, 3, 4), date(2025, 3, 5))
    assert lots.open == ()


def test_one_sale_spans_lots_and_terms():
    lots = match_fifo(traded((10, 100000), (10, 110000), (-15, 300000), days_apart=366))
    assert [(lot.quantity, lot.term, lot.gain_paise) for lot in lots.closed] == [
        (10, Term.LONG, 100000),
        (5, Term.LONG, 45000),
    ]
    assert lots.gains_paise(Term.LONG) == 145000
    assert lots.gains_paise(Term.SHORT) == 0


@pytest.mark.parametrize(
    ("opened", "closed", "term"),
    [
        ("2025-03-03", "2025-03-03", Term.INTRADAY),
        ("2025-03-03", "2025-03-04", Term.SHORT),
        ("2025-03-03", "2026-03-03", Term.SHORT),
        ("2025-03-03", "2026-03-04", Term.LONG),
        ("2024-02-29", "2025-02-28", Term.SHORT),
        ("2024-02-29", "2025-03-01", Term.LONG),
    ],
)
def test_long_is_more_than_twelve_months(opened, closed, term):
    assert term_of(date.fromisoformat(opened), date.fromisoformat(closed)) == term


def test_instruments_and_products_do_not_mix():
    mixed = [
        *traded((10, 1000)),
        *traded((-10, 2000), product="MIS"),
        *traded((-10, 2000), instrument="BSE:INFY"),
    ]
    lots = match_fifo(mixed)
    assert lots.closed == ()
    assert sorted(lot.quantity for lot in lots.open) == [-10, -10, 10]


FILLS = st.lists(st.tuples(st.integers(-50, 50).filter(bool), st.integers(1, 10**9)), min_size=1, max_size=30)


@given(FILLS, st.randoms())
def test_no_share_and_no_paisa_is_lost_whatever_the_order_they_come_in(fills, shuffler):
    trades = traded(*fills)
    lots = match_fifo(trades)
    assert sum(lot.quantity for lot in lots.open) == sum(quantity for quantity, _ in fills)
    bought = sum(value for quantity, value in fills if quantity > 0)
    sold = sum(value for quantity, value in fills if quantity < 0)
    left_long = sum(lot.cost_paise for lot in lots.open if lot.quantity > 0)
    left_short = sum(lot.cost_paise for lot in lots.open if lot.quantity < 0)
    assert sum(lot.cost_paise for lot in lots.closed) + left_long == bought
    assert sum(lot.proceeds_paise for lot in lots.closed) + left_short == sold
    assert len({lot.quantity > 0 for lot in lots.open}) <= 1
    shuffler.shuffle(trades)
    assert match_fifo(trades) == lots


def acted(kind, ratio, *, after_days, instrument="NSE:INFY"):
    return Action(instrument, (START + timedelta(days=after_days)).date(), Decimal(ratio), ActionKind(kind))


def test_a_split_multiplies_open_lots_and_divides_their_cost():
    # 10 at 100 and 5 at 130, two for one, then 24 sold at 70: all of the first lot and four of the second
    lots = match_fifo(traded((10, 100_000), (5, 65_000), (-24, 168_000)), [acted("split", "2", after_days=2)])
    assert [(lot.quantity, lot.cost_paise, lot.gain_paise) for lot in lots.closed] == [
        (20, 100_000, 40_000),
        (4, 26_000, 2_000),
    ]
    assert [(lot.quantity, lot.cost_paise) for lot in lots.open] == [(6, 39_000)]


def test_a_bonus_costs_nothing_and_is_held_from_its_allotment():
    # 100 held since long, one for one; 150 sold half a year later: the old ones long term, the new ones short
    trades = traded((100, 1_000_000), (-150, 900_000), days_apart=500)
    lots = match_fifo(trades, [acted("bonus", "2", after_days=320)])
    assert [(lot.quantity, lot.cost_paise, lot.gain_paise, lot.term) for lot in lots.closed] == [
        (100, 1_000_000, -400_000, Term.LONG),
        (50, 0, 300_000, Term.SHORT),
    ]
    (left,) = lots.open
    assert (left.quantity, left.cost_paise, left.opened_on) == (50, 0, (START + timedelta(days=320)).date())


def test_actions_give_whole_shares_and_touch_only_what_was_held_before_them():
    # one for three on 10 shares is three, and the trades of the ex-day are of new shares
    later = traded((10, 1000), (7, 700))
    lots = match_fifo(
        later, [acted("bonus", "1.3333", after_days=1), acted("split", "5", after_days=9, instrument="X")]
    )
    assert [(lot.quantity, lot.cost_paise) for lot in lots.open] == [(10, 1000), (3, 0), (7, 700)]
    # one for four on lots of 3 and 3: the whole share that is left keeps what its lot cost
    lots = match_fifo(traded((3, 300), (3, 330)), [acted("split", "0.25", after_days=5)])
    assert [lot.quantity for lot in lots.open] == [1]


@given(st.lists(st.integers(1, 500), min_size=1, max_size=6), st.sampled_from(["2", "5", "1.5", "10", "1.3333"]))
def test_a_split_and_a_bonus_give_the_same_shares_and_keep_the_cost(quantities, ratio):
    trades = traded(*((quantity, quantity * 100) for quantity in quantities))
    split, bonus = (match_fifo(trades, [acted(kind, ratio, after_days=60)]) for kind in ActionKind)
    assert sum(lot.quantity for lot in split.open) == sum(lot.quantity for lot in bonus.open)
    assert remaining_cost(split) == remaining_cost(bonus) == sum(quantities) * 100
