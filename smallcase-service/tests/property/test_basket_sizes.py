"""How many shares, against brute force and for any prices: never over the amount, never a sale, near the target."""

import itertools
import random
from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from smallcase_service.domain.planning import Market, plan_buys, plan_closing, plan_rebalance, plan_sells
from smallcase_service.domain.sizing import UNIT, buys_for, minimum

BASKETS = 10_000


def ints(values):
    return np.array(values, dtype=np.int64)


def weights_from(scores):
    whole = sum(scores)
    parts = [max(1, score * UNIT // whole) for score in scores]
    parts[parts.index(max(parts))] += UNIT - sum(parts)
    return parts


def underweight(prices, weights, held, amount):
    """Millionths of a paisa by which the constituents are short of their targets, all together."""
    worth = sum(p * h for p, h in zip(prices, held[0], strict=True)) + amount
    return sum(max(0, worth * w - UNIT * p * (h + b)) for p, w, h, b in zip(prices, weights, *held, strict=True))


def best_underweight(prices, weights, held, amount):
    """The least there is, over every affordable purchase that goes at most one share past a target."""
    worth = sum(p * h for p, h in zip(prices, held, strict=True)) + amount
    most = [max(0, -(-worth * w // (UNIT * p)) - h) for p, w, h in zip(prices, weights, held, strict=True)]
    found = None
    for buys in itertools.product(*(range(count + 1) for count in most)):
        if sum(p * b for p, b in zip(prices, buys, strict=True)) <= amount:
            short = underweight(prices, weights, (held, buys), amount)
            found = short if found is None else min(found, short)
    return found


def test_an_amount_buys_within_one_share_of_the_best_there_is():
    dice = random.Random(20)
    for _ in range(BASKETS):
        count = dice.randint(2, 3)
        prices = [dice.randint(100, 5000) for _ in range(count)]
        weights = weights_from([dice.randint(1, 9) for _ in range(count)])
        held = [dice.choice([0, 0, dice.randint(0, 4)]) for _ in range(count)]
        amount = dice.randint(min(prices), 14_000)
        (buys,) = buys_for(ints([held]), ints(prices), ints(prices), ints(weights), ints([amount])).tolist()
        assert min(buys) >= 0
        assert sum(p * b for p, b in zip(prices, buys, strict=True)) <= amount
        ours = underweight(prices, weights, (held, buys), amount)
        best = best_underweight(prices, weights, held, amount)
        assert ours - best <= UNIT * max(prices), (prices, weights, held, amount, buys)


def test_the_minimum_is_within_one_share_of_the_best_basket_of_its_worth():
    """Of all baskets with a share of everything, around the same amount, none has smaller errors by over a share."""
    dice = random.Random(21)
    for _ in range(BASKETS):
        count = dice.randint(2, 3)
        prices = [dice.randint(100, 5000) for _ in range(count)]
        weights = weights_from([dice.randint(1, 9) for _ in range(count)])
        found = minimum(prices, weights)
        assert min(found.quantities) >= 1
        assert found.value_paise == sum(p * q for p, q in zip(prices, found.quantities, strict=True))
        near = itertools.product(*(range(max(1, q - 1), q + 2) for q in found.quantities))
        best = min((worst_error(prices, weights, shares), shares) for shares in near)
        step = max(Fraction(price * UNIT, found.value_paise) for price in prices)
        assert found.error - best[0] <= step
        assert found.error == -(-(e := worst_error(prices, weights, found.quantities)).numerator // e.denominator)
        assert found.is_within_tolerance == (found.error <= 20_000)


def worst_error(prices, weights, shares):
    value = sum(p * q for p, q in zip(prices, shares, strict=True))
    return Fraction(max(abs(p * q * UNIT - w * value) for p, q, w in zip(prices, shares, weights, strict=True)), value)


def test_a_minimum_that_rounds_badly_is_searched_for():
    found = minimum([1000, 900, 100], [500_000, 300_000, 200_000])
    assert found.is_within_tolerance
    assert found.value_paise > 2000


prices_st = st.integers(100, 10_000_000)
baskets = st.integers(2, 8).flatmap(
    lambda n: st.tuples(
        st.lists(prices_st, min_size=n, max_size=n),
        st.lists(st.integers(1, 100), min_size=n, max_size=n).map(weights_from),
        st.lists(st.lists(st.integers(0, 5000), min_size=n, max_size=n), min_size=1, max_size=4),
        st.integers(0, 10**11),
    )
)


@given(baskets)
@settings(max_examples=150, deadline=None)
def test_buying_is_never_over_budget_and_never_selling(basket):
    prices, weights, held, amount = basket
    costs = [price + price // 30 + 1 for price in prices]
    budgets = ints([amount] * len(held))
    buys = buys_for(ints(held), ints(prices), ints(costs), ints(weights), budgets)
    assert (buys >= 0).all()
    assert (buys @ ints(costs) <= budgets).all()


def market_of(prices, weights, sell_ppm=0, buy_ppm=0):
    """As the book holds cash: the band of 3 % on a buy, none on one at the last price."""
    return Market(ints(prices), ints([p + p // 30 + 1 for p in prices]), ints(weights), sell_ppm, buy_ppm)


def paid(quantities, market, ppm):
    """Value at last prices and its charges."""
    values = quantities @ market.prices
    return values, -(-values * ppm // UNIT)


def bought(held, market, cash, sold):
    """As a run buys: two rounds at worst costs, each from what the last one left, then whole shares at last prices."""
    for _ in range(2):
        buys, _ = plan_buys(held, market, cash, sold, is_full=True)
        assert (buys @ market.costs <= cash).all()
        held, cash = held + buys, cash - sum(paid(buys, market, market.buy_ppm))
    buys = plan_closing(held, market, cash, sold, is_full=True)
    return held + buys, cash - sum(paid(buys, market, market.buy_ppm))


@given(baskets, st.sampled_from([(0, 0), (1040, 1190)]))
@settings(max_examples=300, deadline=None)
def test_a_full_rebalance_ends_within_one_share_of_the_target(basket, ppm):
    prices, weights, held, _ = basket
    market = market_of(prices, weights, *ppm)
    shares = ints(held)
    sells, _ = plan_sells(shares, market, is_full=True)
    assert (sells <= shares).all()
    value, charges = paid(sells, market, ppm[0])
    after, cash = bought(shares - sells, market, value - charges, sells > 0)
    assert (cash >= 0).all()
    worth = after @ market.prices + cash * UNIT // (UNIT + ppm[1])  # cash is worth what it buys
    gaps = worth[:, None] * market.weights - UNIT * market.prices * after
    assert (
        np.abs(gaps) <= UNIT * (market.prices + -(-market.prices * sum(ppm) // UNIT))
    ).all()  # a share, charges paid


@given(baskets)
@settings(max_examples=150, deadline=None)
def test_an_amount_is_spent_but_for_less_than_a_share_of_everything(basket):
    prices, weights, _, amount = basket
    market = market_of(prices, weights)
    nothing = np.zeros((1, len(prices)), dtype=np.int64)
    held, cash = bought(nothing, market, ints([amount]), nothing > 0)
    assert (held @ market.prices + cash == amount).all()
    assert (amount * market.weights - UNIT * market.prices * held[0] < UNIT * market.prices).all()


@given(baskets)
@settings(max_examples=100, deadline=None)
def test_small_orders_are_left_out_only_for_what_stays(basket):
    prices, weights, held, _ = basket
    weights = [0, *weights[1:-1], weights[-1] + weights[0]]
    market = Market(ints(prices), ints(prices), ints(weights), 0, 0)
    shares = ints(held)
    plan = plan_rebalance(shares, market)
    assert (plan.sells[:, 0] == shares[:, 0]).all()  # an exit is never left out
    worth = shares @ ints(prices)
    limit = np.maximum(50_000, worth // 100)[:, None]
    stays = (shares - plan.sells > 0) & (ints(weights) > 0)
    traded = (plan.sells + plan.buys) * ints(prices)
    assert ((traded == 0) | (traded > limit) | ~stays).all()


@given(baskets)
@settings(max_examples=100, deadline=None)
def test_a_crowd_is_planned_as_each_alone_would_be(basket):
    prices, weights, held, amount = basket
    arguments = (ints(prices), ints(prices), ints(weights))
    together = buys_for(ints(held), *arguments, ints([amount] * len(held)))
    alone = [buys_for(ints([one]), *arguments, ints([amount]))[0] for one in held]
    assert (together == np.array(alone)).all()
