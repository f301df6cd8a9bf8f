"""Returns and rates against worked examples: spreadsheets' XIRR and XNPV, linked returns, modified Dietz."""

from datetime import date

import numpy as np
import pytest
from scipy.optimize import brentq

from analytics_service.domain.figures import REASONS, Reason
from analytics_service.domain.history import Histories
from analytics_service.domain.metrics import metrics, months_before
from analytics_service.domain.returns import daily_returns
from analytics_service.domain.xirr import brent, rates, xirr, xnpv

MICROSOFT = (
    [date(2008, 1, 1), date(2008, 3, 1), date(2008, 10, 30), date(2009, 2, 15), date(2009, 4, 1)],
    [-10000, 2750, 4250, 3250, 2750],
)
"""Microsoft Excel's documentation of XIRR and XNPV."""
MATHWORKS = (
    [date(2007, 1, 12), date(2008, 2, 14), date(2008, 3, 3), date(2008, 6, 14), date(2008, 12, 1)],
    [-10000, 2500, 2000, 3000, 4000],
)
"""MathWorks' documentation of xirr."""
NAN = float("nan")


def history(values, deposits=None, withdrawals=None, *, days=None, benchmark=None):
    worth = np.array([values], dtype=float)
    if days is None:
        days = np.datetime64("2025-01-01") + np.arange(len(values))
    nothing = [0.0] * len(values)
    paid_in, paid_out = (np.array([flows or nothing], dtype=float) for flows in (deposits, withdrawals))
    return Histories(np.array(days, dtype="datetime64[D]"), worth, paid_in, paid_out, benchmark)


def figures(*args, **kwargs):
    return metrics(history(*args, **kwargs)).of(0)


def test_spreadsheet_examples():
    assert xirr(*MICROSOFT).value == pytest.approx(0.373362535, abs=5e-9)
    assert xnpv(0.09, *MICROSOFT) == pytest.approx(2086.647602, abs=5e-7)
    assert xirr(*MATHWORKS).value == pytest.approx(0.10064378342638, abs=1e-11)


def test_linked_returns():
    # Wikipedia, Time-weighted return: 4 %, 9 %, 5 % and 11 % link to 32.12 %
    worth = [100.0, 104.0, 104.0 * 1.09, 104.0 * 1.09 * 1.05, 104.0 * 1.09 * 1.05 * 1.11]
    assert figures(worth)["twr"].value == pytest.approx(0.3212, abs=5e-5)


def test_modified_dietz_over_two_years():
    # Wikipedia, Modified Dietz: 100, 50 more after half of two years, worth 300: 120 %; yearly rate 50 %; TWR unknown
    days = ["2023-01-01", "2024-01-01", "2024-12-31"]
    found = figures([100, NAN, 300], [0, 50, 0], days=days)
    assert found["modified_dietz"].value == pytest.approx(1.2, abs=1e-12)
    assert found["modified_dietz"].convention.startswith("ESTIMATE")
    assert found["xirr"].value == pytest.approx(0.5, abs=1e-12)
    assert (found["twr"].value, found["twr"].reason) == (None, Reason.MISSING_VALUATION)


def test_deposits_come_at_the_start_and_withdrawals_at_the_end_of_the_day():
    returns = daily_returns(history([1100, 2310, 1155], [1000, 1000, 0], [0, 0, 1386]))
    assert returns.daily[0] == pytest.approx([0.1, 0.1, 0.1])


def test_a_quiet_gap_is_bridged_and_a_flow_on_its_edge_is_not():
    assert figures([100, NAN, 121])["twr"].value == pytest.approx(0.21)
    # what came in after the gap, or went in or out during it, cannot be told from what was earned
    for deposits, withdrawals in (([0, 0, 10], None), ([0, 10, 0], None), (None, [0, 10, 0])):
        assert figures([100, NAN, 131], deposits, withdrawals)["twr"].reason == Reason.MISSING_VALUATION
    # a withdrawal at the end of the day after it can
    assert figures([100, NAN, 111], None, [0, 0, 10])["twr"].value == pytest.approx(0.21)


def test_money_taken_out_whole_and_brought_back_leaves_the_chain_whole():
    found = figures([100, 0, 0, 50, 55], [0, 0, 0, 50, 0], [0, 110, 0, 0, 0])
    assert found["twr"].value == pytest.approx(1.1 * 1.0 * 1.1 - 1)


def test_losing_everything_is_known_and_earning_on_nothing_is_not():
    assert figures([100, 0])["twr"].value == -1.0
    assert figures([100, 0, 10])["twr"].reason == Reason.NO_CAPITAL
    assert figures([100, -10])["twr"].reason == Reason.NO_CAPITAL


def test_nothing_ever_valued():
    for name, figure in figures([NAN, NAN, 0]).items():
        assert (name, figure.value, figure.reason) == (name, None, Reason.NO_HISTORY)
    empty = Histories(np.empty(0, dtype="datetime64[D]"), *[np.empty((1, 0))] * 3)
    assert {figure.reason for figure in metrics(empty).of(0).values()} == {Reason.NO_HISTORY}


def test_a_year_is_365_days():
    def rate(last):
        return figures([100, 110], days=["2025-01-01", last])["cagr"]

    assert rate("2025-12-31").reason == Reason.UNDER_ONE_YEAR
    assert rate("2026-01-01").value == pytest.approx(0.1, abs=1e-12)


@pytest.mark.parametrize(
    ("days", "amounts", "reason"),
    [
        ([date(2025, 1, 1)], [-100], Reason.TOO_FEW_FLOWS),
        ([date(2025, 1, 1), date(2025, 1, 1)], [-100, 110], Reason.TOO_FEW_FLOWS),
        ([], [], Reason.TOO_FEW_FLOWS),
        ([date(2025, 1, 1), date(2026, 1, 1)], [-100, -10], Reason.NO_SIGN_CHANGE),
        # 10 % and 20 %: -100 + 230 / x - 132 / x²
        ([date(2025, 1, 1), date(2026, 1, 1), date(2027, 1, 1)], [-100, 230, -132], Reason.SEVERAL_RATES),
        # 10.0 % and 10.1 %, both inside one cell of the grid
        ([date(2025, 1, 1), date(2026, 1, 1), date(2027, 1, 1)], [-1000, 2201, -1211.1], Reason.SEVERAL_RATES),
        ([date(2025, 1, 1), date(2026, 1, 1), date(2027, 1, 1)], [-100, 200, -132], Reason.RATE_OUT_OF_RANGE),
        ([date(2025, 1, 1), date(2025, 1, 2)], [-100, 105], Reason.RATE_OUT_OF_RANGE),
    ],
)
def test_rates_that_cannot_be_known(days, amounts, reason):
    found = xirr(days, amounts)
    assert (found.value, found.reason) == (None, reason)


def test_rates_are_counted_as_the_roots_of_the_polynomial_they_are():
    random = np.random.default_rng(3)
    flows = random.integers(-1000, 1001, (400, 7)).astype(float)
    days = np.datetime64("2020-01-01") + 365 * np.arange(7)
    found, reasons = rates(days, flows)
    counted = set()
    for row, (rate, code) in enumerate(zip(found, reasons, strict=True)):
        roots = np.roots(flows[row, ::-1])  # in 1 / (1 + rate)
        real = roots[np.abs(roots.imag) < 1e-7].real
        inside = [1 / root - 1 for root in real if root > 0 and -0.9999 < 1 / root - 1 < 100]
        if len(inside) == 1:
            assert rate == pytest.approx(inside[0], rel=1e-9)
        else:
            assert REASONS[code] in (
                {Reason.SEVERAL_RATES} if inside else {Reason.RATE_OUT_OF_RANGE, Reason.NO_SIGN_CHANGE}
            )
        counted.add(len(inside))
    assert {0, 1, 2, 3} <= counted


def test_every_change_of_sign_does_not_mean_another_rate():
    days = [date(2025, 1, 1), date(2025, 7, 1), date(2026, 1, 1), date(2026, 7, 1)]
    amounts = [-1000, 300, -200, 1000]
    rate = xirr(days, amounts).value
    assert xnpv(rate, days, amounts) == pytest.approx(0, abs=1e-9)


def test_a_century_of_flows_does_not_overflow():
    days = np.array(["1925-01-01", "2025-01-01"], dtype="datetime64[D]")
    found, reasons = rates(days, np.array([[-1.0, 1e6]]))
    assert REASONS[reasons[0]] is None
    assert found[0] == pytest.approx(1e6 ** (365 / 36525) - 1, rel=1e-12)


@pytest.mark.parametrize("root", [-3.0, 0.001, 0.7, 4.99])
def test_brent_agrees_with_scipy(root):
    def f(x):
        return (x - root) ** 3 + 0.1 * (x - root)

    assert brent(f, -5, 5) == pytest.approx(brentq(f, -5, 5, xtol=1e-14), abs=1e-12)


def test_brent_needs_few_steps_and_a_change_of_sign():
    calls = []

    def f(x):
        calls.append(x)
        return np.exp(x) - 2

    brent(f, -9.0, 4.6)
    assert len(calls) < 15
    with pytest.raises(ValueError, match="sign"):
        brent(lambda _: 1.0, 0, 1)


def test_a_month_before_a_day_its_month_does_not_have_is_the_month_s_last():
    days = np.array(["2025-03-31", "2024-03-30", "2025-05-31", "2025-01-15"], dtype="datetime64[D]")
    assert list(months_before(days, 1).astype(str)) == ["2025-02-28", "2024-02-29", "2025-04-30", "2024-12-15"]


def test_trailing_returns_count_from_the_last_valuation():
    days = ["2025-01-30", "2025-02-28", "2025-03-14", "2025-03-31"]
    found = figures([100, 110, 121, 133.1], days=days)
    assert found["return_1m"].value == pytest.approx(0.21)
    assert found["return_3m"].reason == Reason.TOO_FEW_RETURNS


def test_no_figure_is_ever_infinite_or_without_its_reason():
    random = np.random.default_rng(5)
    days = np.datetime64("2020-01-01") + np.arange(400)
    values = random.integers(-5, 10**6, (60, 400)) * random.choice([0.0, 1.0, 1.0, NAN], (60, 400))
    deposits, withdrawals = (random.integers(0, 10**6, (60, 400)) * (random.random((60, 400)) < 0.01) for _ in range(2))
    wild = Histories(days, values, deposits * 1.0, withdrawals * 1.0, random.random(400))
    quiet = Histories(days, np.abs(np.nan_to_num(values)) + 1, deposits * 0.0, withdrawals * 0.0, random.random(400))
    for found in (metrics(wild), metrics(quiet)):
        for portfolio in found:
            for figure in portfolio.values():
                assert (figure.value is None) == (figure.reason is not None)
                assert figure.value is None or np.isfinite(figure.value)
                assert figure.convention
    assert Reason.TOO_LARGE in {portfolio["alpha"].reason for portfolio in metrics(quiet)}


def test_no_portfolios_have_no_figures():
    days = np.array(["2025-01-01"], dtype="datetime64[D]")
    assert list(metrics(Histories(days, *[np.empty((0, 1))] * 3))) == []


def test_histories_are_checked():
    with pytest.raises(ValueError, match="ascend"):
        history([1, 2], days=["2025-01-02", "2025-01-01"])
    with pytest.raises(ValueError, match="zero or more"):
        history([1, 2], [0, -1])
    with pytest.raises(ValueError, match="zero or more"):
        history([1, 2], [0, NAN])
    with pytest.raises(ValueError, match="benchmark"):
        history([1, 2], benchmark=np.ones(3))
