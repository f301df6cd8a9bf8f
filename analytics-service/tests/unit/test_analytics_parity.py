"""200 random portfolios against empyrical-reloaded and pyxirr, where the conventions agree (decision 0021)."""

import empyrical
import numpy as np
import pandas as pd
import pytest
import pyxirr
from scipy.stats import norm, truncnorm

from analytics_service.domain.figures import Reason
from analytics_service.domain.history import Histories
from analytics_service.domain.metrics import Conventions, metrics
from analytics_service.domain.returns import daily_returns

PORTFOLIOS, DAYS = 200, 500
CONVENTIONS = Conventions(risk_free=0.06, minimum_acceptable=0.02)
CLOSE = 1e-9


@pytest.fixture(scope="module")
def histories():
    random = np.random.default_rng(20260301)
    days = np.arange("2023-01-02", "2026-01-01", dtype="datetime64[D]")
    days = days[np.is_busday(days)][:DAYS]
    moves = random.normal(0.0005, random.uniform(0.003, 0.03, (PORTFOLIOS, 1)), (PORTFOLIOS, DAYS))
    sizes = random.integers(100_000, 50_000_000, (PORTFOLIOS, DAYS))
    deposits = np.where(random.random((PORTFOLIOS, DAYS)) < 0.02, sizes, 0).astype(float)
    asked = np.where(random.random((PORTFOLIOS, DAYS)) < 0.01, random.uniform(0, 0.6, (PORTFOLIOS, DAYS)), 0)
    starts = random.integers(0, 100, PORTFOLIOS)
    values, withdrawals = np.full((PORTFOLIOS, DAYS), np.nan), np.zeros((PORTFOLIOS, DAYS))
    for row, start in enumerate(starts):
        deposits[row, :start] = 0
        deposits[row, start] = 100_000_000
        worth = 0.0
        for day in range(start, DAYS):
            worth = round((worth + deposits[row, day]) * (1 + moves[row, day]))
            withdrawals[row, day] = round(worth * asked[row, day])
            worth -= withdrawals[row, day]
            values[row, day] = worth
    gaps = (random.random((PORTFOLIOS, DAYS)) < 0.01) & (deposits == 0) & (withdrawals == 0)
    gaps[:, 0] = False
    gaps[:, :-1] &= deposits[:, 1:] == 0
    gaps[:, -1] = False
    values[gaps] = np.nan
    market = 100 * np.cumprod(1 + random.normal(0.0004, 0.01, DAYS))
    return Histories(days, values, deposits, withdrawals, market)


@pytest.fixture(scope="module")
def ours(histories):
    return metrics(histories, CONVENTIONS)


def plain_returns(histories, row):
    """Day by day, in plain Python: returns with their dates and the benchmark's over the same spans."""
    own, market, days = [], [], []
    before, level = 0.0, None
    for day in range(DAYS):
        worth, paid_in, paid_out = (
            array[row, day]
            for array in (histories.values, histories.deposits, histories.withdrawals)  # noqa: PD011 - not a frame
        )
        if np.isnan(worth):
            continue
        if before + paid_in > 0:
            own.append((worth + paid_out) / (before + paid_in) - 1)
            start = level if level is not None else (histories.benchmark[day - 1] if day else None)
            market.append(np.nan if start is None else histories.benchmark[day] / start - 1)
            days.append(histories.days[day])
        before, level = worth, histories.benchmark[day]
    return pd.Series(own, pd.DatetimeIndex(days)), pd.Series(market, pd.DatetimeIndex(days))


def test_every_figure_of_200_random_portfolios(histories, ours):
    tail = truncnorm.mean(-np.inf, norm.ppf(0.05))
    free, least = (1.06 ** (1 / 252) - 1), (1.02 ** (1 / 252) - 1)
    for row in range(PORTFOLIOS):
        figures = ours.of(row)
        returns, market = plain_returns(histories, row)
        both = market.notna()
        months = empyrical.aggregate_returns(returns, "monthly")
        expected = {
            "twr": empyrical.cum_returns_final(returns),
            "annualised_return": empyrical.annual_return(returns),
            "volatility": empyrical.annual_volatility(returns),
            "sharpe": empyrical.sharpe_ratio(returns, free),
            "sortino": empyrical.sortino_ratio(returns, least),
            "max_drawdown": empyrical.max_drawdown(returns),
            "best_day": returns.max(),
            "worst_day": returns.min(),
            "best_month": months.max(),
            "worst_month": months.min(),
            "var_historical": empyrical.value_at_risk(returns, 0.05),
            "cvar_historical": empyrical.conditional_value_at_risk(returns, 0.05),
            "var_parametric": norm.ppf(0.05, returns.mean(), returns.std()),
            "cvar_parametric": returns.mean() + returns.std() * tail,
            "beta": empyrical.beta(returns[both], market[both], free),
            "alpha": empyrical.alpha(returns[both], market[both], free),
            "tracking_error": empyrical.annual_volatility(returns[both] - market[both]),
            "information_ratio": empyrical.excess_sharpe(returns[both], market[both]) * np.sqrt(252),
            "benchmark_return": empyrical.cum_returns_final(market[both]),
        }
        found = {name: figures[name].value for name in expected}
        assert found == pytest.approx(expected, rel=CLOSE, abs=CLOSE)
        assert figures["calmar"].value == pytest.approx(
            figures["cagr"].value / -empyrical.max_drawdown(returns), rel=CLOSE
        )


def test_money_weighted_rates_of_200_random_portfolios(histories, ours):
    known = 0
    for row in range(PORTFOLIOS):
        figure = ours.of(row)["xirr"]
        flows = histories.withdrawals[row] - histories.deposits[row]
        flows[-1] += histories.values[row, -1]  # noqa: PD011 - not a frame
        moved = flows != 0
        if figure.reason is None:
            known += 1
            rate = pyxirr.xirr(histories.days[moved], flows[moved])
            assert figure.value == pytest.approx(rate, rel=CLOSE, abs=CLOSE)
        else:
            assert figure.reason == Reason.SEVERAL_RATES
    assert known > 0.9 * PORTFOLIOS


def test_a_batch_is_its_portfolios_one_by_one(histories, ours):
    for row in range(0, PORTFOLIOS, 20):
        alone = metrics(histories.part(row, row + 1), CONVENTIONS).of(0)
        assert {name: figure.reason for name, figure in alone.items()} == {
            name: figure.reason for name, figure in ours.of(row).items()
        }
        for name, figure in ours.of(row).items():
            assert figure.dates == alone[name].dates
            assert figure.value == pytest.approx(alone[name].value, rel=1e-12, abs=1e-14)


def test_threads_and_parts_change_nothing(histories, ours):
    threaded = metrics(histories, CONVENTIONS, workers=2)
    for name, column in ours.columns.items():
        assert np.array_equal(threaded.columns[name].values, column.values, equal_nan=True)
        assert np.array_equal(threaded.columns[name].reasons, column.reasons)


def test_drawdown_dates_by_a_plain_walk(histories, ours):
    daily = daily_returns(histories)
    for row in range(PORTFOLIOS):
        index, high, high_day = 1.0, 1.0, histories.days[daily.first[row]]
        deepest, dates, recovered = 0.0, None, None
        for day, move in zip(histories.days, daily.daily[row], strict=True):
            if np.isnan(move):
                continue
            index *= 1 + move
            if index >= high:
                if recovered is None and dates is not None:
                    recovered = day
                high, high_day = index, day
            elif index / high - 1 < deepest:
                deepest, dates, recovered = index / high - 1, (high_day, day), None
        found = ours.of(row)["max_drawdown"].dates
        assert (found["peak_on"], found["trough_on"], found["recovered_on"]) == (
            *(one.item() for one in dates),
            None if recovered is None else recovered.item(),
        )
