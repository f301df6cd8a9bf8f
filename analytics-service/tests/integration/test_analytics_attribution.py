"""Why a portfolio did better than the market: effects over the months of kept closes."""

from datetime import date
from decimal import Decimal

import pytest

from analytics_service.domain.tax import Action, ActionKind
from analytics_service.usecases import closes
from analytics_service.usecases.attribution import get_attribution
from analytics_service.usecases.performance import get_performance
from saras_common.events import DayPrice, InstrumentFacts
from saras_common.ids import new_id

INFY, TCS, WIPRO = "NSE:INFY", "NSE:TCS", "NSE:WIPRO"
D1, D2, D3 = date(2026, 3, 31), date(2026, 4, 30), date(2026, 5, 29)
CLOSES = {INFY: (10_000, 11_000, 12_100), TCS: (20_000, 20_000, 10_000), WIPRO: (5_000, 5_500, 5_500)}
SECTORS = {INFY: "Information Technology", TCS: "Power", WIPRO: "Information Technology"}


@pytest.fixture
def history(service):
    """Three month ends; TCS is split one for two before the last of them."""
    with service.database.for_service() as session:
        closes.market.put_facts(
            session, [InstrumentFacts(instrument=name, sector=sector) for name, sector in SECTORS.items()]
        )
        closes.market.put_day_prices(
            session,
            [
                DayPrice(instrument=name, day=day, open_paise=p, high_paise=p, low_paise=p, close_paise=p)
                for name, prices in CLOSES.items()
                for day, p in zip((D1, D2, D3), prices, strict=True)
            ],
        )
        closes.market.put_actions(session, [Action(TCS, date(2026, 5, 4), Decimal(2), ActionKind.SPLIT)])
    return service


def value(service, user, day, shelves, cash):
    service.book.put(user, cash=cash, deposited=1_000_000, shelves=shelves)
    closes.take_close(service.context, day)


def attribution(service, user):
    with service.database.for_users(user) as session:
        performance = get_performance(session, user, first=None, last=None, benchmark="NSE:NIFTY 50", risk_free=0.0)
        return get_attribution(session, user, performance.history)


def held(quantity, last):
    return (quantity, quantity * last, last)


def test_effects_sum_to_the_difference_of_the_compounded_returns(history):
    user = history.user()
    value(history, user, D1, {INFY: held(50, 10_000), TCS: held(10, 20_000)}, 300_000)
    value(history, user, D2, {INFY: held(50, 11_000), TCS: held(10, 20_000)}, 300_000)
    value(history, user, D3, {INFY: held(50, 12_100), TCS: held(20, 10_000)}, 300_000)
    found = attribution(history, user)
    assert found.reason is None
    assert set(found.sectors) == {"Cash", "Information Technology", "Power"}
    own = (1_050_000 / 1_000_000) * (1_105_000 / 1_050_000) - 1  # held as they were, the split counted
    market = (1 + (0.1 + 0 + 0.1) / 3) * (1 + (0.1 + 0 + 0) / 3) - 1  # three shares in equal parts
    for effects in (found.sectors, found.asset_classes):
        assert sum(effect.total for effect in effects.values()) == pytest.approx(own - market, abs=1e-12)
    assert found.asset_classes["Cash"].total < 0  # idle while the market rose


def test_what_is_not_known_has_a_reason(history):
    user = history.user()
    assert attribution(history, new_id()).reason == "too_few_returns"
    value(history, user, D1, {INFY: held(1, 10_000), "NSE:NOSECTOR": held(1, 100)}, 0)
    assert attribution(history, user).reason == "too_few_returns"
    value(history, user, D2, {INFY: held(1, 11_000)}, 0)
    assert attribution(history, user).reason == "no_prices"  # of what was held at the first end, none at the second


def test_issued_shares_weigh_the_market_where_all_are_known(history):
    user = history.user()
    value(history, user, D1, {INFY: held(50, 10_000)}, 0)
    value(history, user, D2, {INFY: held(50, 11_000)}, 0)
    equal = attribution(history, user).asset_classes["Equity"].selection
    with history.database.for_service() as session:
        closes.market.put_facts(
            session,
            [
                InstrumentFacts(instrument=name, sector=sector, shares_issued=10**9 if name == INFY else 1)
                for name, sector in SECTORS.items()
            ],
        )
    assert attribution(history, user).asset_classes["Equity"].selection == pytest.approx(0, abs=1e-6)
    assert equal == pytest.approx(0.1 - 0.2 / 3, abs=1e-12)
