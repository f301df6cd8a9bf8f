"""A part of a history begins with what the portfolio was worth, not with a payment."""

from datetime import date

import numpy as np
import pytest

from analytics_service.domain.history import Histories
from analytics_service.domain.metrics import metrics
from analytics_service.usecases.performance import _since


def test_a_window_has_one_return_for_each_day_after_its_opening():
    days = np.arange(np.datetime64("2026-01-01"), np.datetime64("2026-01-06"))
    values = np.array([[100_00.0, 110_00.0, 99_00.0, 108_90.0, 119_79.0]])
    nothing = np.zeros_like(values)
    deposits = nothing.copy()
    deposits[0, 0] = 100_00.0
    window = _since(Histories(days, values, deposits, nothing), date(2026, 1, 3))
    figures = metrics(window).of(0)
    returns = [-0.1, 0.1, 0.1]
    assert window.days[0] == np.datetime64("2026-01-02")
    assert figures["twr"].value == pytest.approx(0.9 * 1.1 * 1.1 - 1, abs=1e-12)
    assert figures["volatility"].value == pytest.approx(np.std(returns, ddof=1) * np.sqrt(252), abs=1e-12)
