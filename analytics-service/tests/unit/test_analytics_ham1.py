"""PerformanceAnalytics' published figures of HAM1, 132 monthly returns from January 1996 (its `managers` data set)."""

import math

import numpy as np
import pytest

from analytics_service.domain.history import Histories
from analytics_service.domain.metrics import Conventions, metrics
from analytics_service.domain.rolling import rolling

HAM1 = [
    0.0074, 0.0193, 0.0155, -0.0091, 0.0076, -0.0039, -0.0231, 0.0395, 0.0147, 0.0288, 0.0156, 0.0176,
    0.0212, 0.0022, 0.0094, 0.0126, 0.0438, 0.0231, 0.0154, 0.0237, 0.0219, -0.0207, 0.025, 0.011,
    0.0056, 0.0429, 0.0362, 0.0078, -0.0231, 0.0121, -0.0215, -0.0944, 0.0248, 0.0558, 0.0126, 0.0097,
    -0.0093, 0.0094, 0.0462, 0.051, 0.0162, 0.0326, 0.0098, -0.0165, -0.0045, -0.0006, 0.0035, 0.0147,
    -0.0102, 0.0123, 0.0575, 0.0202, 0.0339, 0.0123, 0.0049, 0.0387, 0.0013, -0.0077, 0.0104, -0.0068,
    0.0079, 0.0082, -0.0105, 0.0345, 0.0579, 0.0021, 0.0207, 0.0161, -0.0312, 0.0011, 0.034, 0.0676,
    0.0135, -0.0124, 0.0063, 0.0046, -0.0015, -0.0241, -0.0755, 0.0077, -0.0575, 0.0297, 0.0661, -0.0323,
    -0.0412, -0.0251, 0.0364, 0.0651, 0.0337, 0.0308, 0.0176, 0.0003, 0.009, 0.0481, 0.0169, 0.0275,
    0.0053, -0.0001, 0.0087, -0.0043, 0.0082, 0.0259, 0.0, 0.0055, 0.0088, -0.0006, 0.0394, 0.044,
    0.0001, 0.0215, -0.0207, -0.0209, 0.0043, 0.0161, 0.0091, 0.0113, 0.0261, -0.0187, 0.0231, 0.0261,
    0.0692, 0.0145, 0.0397, -0.0011, -0.0267, 0.0216, -0.0144, 0.0161, 0.0068, 0.0427, 0.0117, 0.0115,
]  # fmt: skip
"""Monthly, January 1996 to December 2006."""
SP500 = [
    0.034, 0.0093, 0.0096, 0.0147, 0.0258, 0.0038, -0.0442, 0.0211, 0.0563, 0.0276, 0.0756, -0.0198,
    0.0625, 0.0078, -0.0411, 0.0597, 0.0609, 0.0448, 0.0796, -0.056, 0.0548, -0.0334, 0.0463, 0.0172,
    0.0111, 0.0721, 0.0512, 0.0101, -0.0172, 0.0406, -0.0106, -0.1446, 0.0641, 0.0813, 0.0606, 0.0576,
    0.0418, -0.0311, 0.04, 0.0387, -0.0236, 0.0555, -0.0312, -0.0049, -0.0274, 0.0633, 0.0203, 0.0589,
    -0.0502, -0.0189, 0.0978, -0.0301, -0.0205, 0.0247, -0.0156, 0.0621, -0.0528, -0.0042, -0.0788, 0.0049,
    0.0355, -0.0912, -0.0634, 0.0777, 0.0067, -0.0243, -0.0098, -0.0626, -0.0808, 0.0191, 0.0767, 0.0088,
    -0.0146, -0.0193, 0.0376, -0.0606, -0.0074, -0.0712, -0.078, 0.0066, -0.1087, 0.088, 0.0589, -0.0587,
    -0.0262, -0.015, 0.0097, 0.0824, 0.0527, 0.0128, 0.0176, 0.0195, -0.0106, 0.0566, 0.0088, 0.0524,
    0.0184, 0.0139, -0.0151, -0.0157, 0.0137, 0.0195, -0.0331, 0.0041, 0.0108, 0.0153, 0.0405, 0.034,
    -0.024375, 0.02104, -0.01771, -0.019, 0.03182, 0.00142, 0.0372, -0.0091, 0.0081, -0.0167, 0.0378, 0.0003,
    0.0265, 0.0027, 0.0125, 0.0134, -0.0288, 0.0014, 0.0062, 0.0238, 0.0258, 0.0326, 0.019, 0.01403,
]  # fmt: skip
"""The same months of the S&P 500, total return."""
MONTHLY = Conventions(periods_per_year=12)


@pytest.fixture(scope="module")
def figures():
    months = np.arange("1996-01", "2007-02", dtype="datetime64[M]").astype("datetime64[D]") - 1
    worth = 1e9 * np.cumprod([1.0, *(1 + r for r in HAM1)])
    market = 100 * np.cumprod([1.0, *(1 + r for r in SP500)])
    nothing = np.zeros((1, len(months)))
    return metrics(Histories(months, worth[None], nothing, nothing, market), MONTHLY).of(0)


def test_published_figures_of_ham1(figures):
    assert figures["annualised_return"].value == pytest.approx(0.1375, abs=5e-5)
    assert figures["volatility"].value == pytest.approx(0.0888, abs=5e-5)
    assert figures["sortino"].value / math.sqrt(12) == pytest.approx(0.7649, abs=5e-5)
    assert figures["max_drawdown"].value == pytest.approx(-0.1518, abs=5e-5)


def test_the_drawdown_has_its_dates(figures):
    # table.Drawdowns: from 2002-02-28 (the first month below the high), trough 2003-02-28, to 2003-07-31
    dates = figures["max_drawdown"].as_dict()
    assert (dates["peak_on"], dates["trough_on"], dates["recovered_on"]) == ("2002-01-31", "2003-02-28", "2003-07-31")


def test_the_worst_month_is_august_1998(figures):
    worst = figures["worst_month"]
    assert worst.value == pytest.approx(-0.0944, abs=1e-12)
    assert worst.as_dict()["on"] == "1998-08-01"


def test_the_year_by_the_calendar_is_a_little_longer_than_twelve_months(figures):
    growth = math.prod(1 + r for r in HAM1)
    assert figures["cagr"].value == pytest.approx(growth ** (365 / 4018) - 1, rel=1e-12)


def test_published_tracking_error_to_the_market(figures):
    # table.SFM
    assert figures["tracking_error"].value == pytest.approx(0.1132, abs=5e-5)


def test_rolling_figures_of_the_whole_are_the_figures_of_the_whole(figures):
    months = np.arange("1996-02", "2007-02", dtype="datetime64[M]").astype("datetime64[D]") - 1
    rolled = rolling(months, np.array(HAM1), len(HAM1), market=np.array(SP500), periods_per_year=12)
    assert rolled.volatility[0] == pytest.approx(figures["volatility"].value, rel=1e-12)
    assert rolled.sharpe[0] == pytest.approx(figures["sharpe"].value, rel=1e-12)
    assert rolled.max_drawdown[0] == pytest.approx(figures["max_drawdown"].value, rel=1e-12)
    assert rolled.beta[0] == pytest.approx(figures["beta"].value, rel=1e-12)
    assert rolled.total_return[0] == pytest.approx(figures["twr"].value, rel=1e-12)
