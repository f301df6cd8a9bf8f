"""Portfolios from past prices, by PyPortfolioOpt: an optional part of an installation.

The library's numbers are floats and only propose weights; what is bought is sized in whole shares and paise elsewhere.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

from smallcase_service.domain.refusals import SuggestionsNotInstalled
from smallcase_service.domain.suggesting import Method

Closes = Mapping[str, Mapping[date, float]]


def optimise(methods: Sequence[Method], closes: Closes) -> dict[Method, dict[str, float]]:
    """Weights by method and instrument; a method without a solution is left out.

    `SuggestionsNotInstalled` when the extra ``smallcase-service[suggestions]`` is not there.
    """
    try:
        import pandas as pd
        from pypfopt import EfficientFrontier, HRPOpt, exceptions, expected_returns, risk_models
    except ImportError as error:
        raise SuggestionsNotInstalled(
            "Suggestions need PyPortfolioOpt: install smallcase-service[suggestions]"
        ) from error
    prices = pd.DataFrame({name: pd.Series(dict(days)) for name, days in closes.items()}).sort_index().dropna()
    mean = expected_returns.mean_historical_return(prices, compounding=False)
    covariance = risk_models.CovarianceShrinkage(prices).ledoit_wolf()
    returns = expected_returns.returns_from_prices(prices)

    def frontier() -> Any:
        return EfficientFrontier(mean, covariance, weight_bounds=(0, 0.35))

    solvers: dict[Method, Callable[[], Any]] = {
        Method.LEAST_VOLATILITY: lambda: frontier().min_volatility(),
        Method.RISK_PARITY: lambda: HRPOpt(returns).optimize(),
        Method.BEST_RATIO: lambda: frontier().max_sharpe(risk_free_rate=0.0),
    }
    found: dict[Method, dict[str, float]] = {}
    for method in methods:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the solver's remarks on conditioning; what it gives is checked below
            try:
                weights = solvers[method]()
            except (exceptions.OptimizationError, ValueError):
                continue
        found[method] = {str(name): float(weight) for name, weight in weights.items() if weight > 0}
    return found
