"""What each holding earned over a period: sums to the profit of the period, and to its return."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from analytics_service.domain.tax import Action, ActionKind
from analytics_service.store import market
from analytics_service.usecases import closes
from analytics_service.usecases.contributing import get_contributions
from analytics_service.usecases.performance import get_performance
from saras_common.events import DayPrice, InstrumentsListed, Listing

INFY, TCS = "NSE:INFY", "NSE:TCS"
D1, D2, D3 = date(2026, 3, 2), date(2026, 3, 4), date(2026, 3, 5)
CLOSES = {INFY: (150_000, 160_000, 155_000), TCS: (350_000, 340_000, 180_000)}
CHARGES = (0, 1500, 46, 2, 225, 9, 0)
TAKEN = sum(CHARGES)


@pytest.fixture
def story(service):
    """₹50,000 paid in; 10 INFY and 5 TCS bought; 4 INFY sold on the second day; TCS split in two before the third."""
    with service.database.for_service() as session:
        market.put_day_prices(
            session,
            [
                DayPrice(instrument=name, day=day, open_paise=p, high_paise=p, low_paise=p, close_paise=p)
                for name, prices in CLOSES.items()
                for day, p in zip((D1, D2, D3), prices, strict=True)
            ],
        )
        market.put_actions(session, [Action(TCS, D3, Decimal(2), ActionKind.SPLIT)])
    service.clock.step(noon(D3))
    user = service.user()
    cash = 5_000_000 - 1_490_000 - 1_760_000 - 2 * TAKEN
    service.fill(user, quantity=10, value=1_490_000, charges=CHARGES, traded_at=noon(D1))
    service.fill(user, quantity=5, value=1_760_000, charges=CHARGES, traded_at=noon(D1), instrument=TCS)
    valued(service, user, D1, cash, {INFY: (10, 1_490_000, 150_000), TCS: (5, 1_760_000, 350_000)})
    cash += 644_000 - TAKEN
    service.fill(user, "SELL", 4, 644_000, charges=CHARGES, traded_at=noon(D2))
    valued(service, user, D2, cash, {INFY: (6, 894_000, 160_000), TCS: (5, 1_760_000, 340_000)})
    valued(service, user, D3, cash, {INFY: (6, 894_000, 155_000), TCS: (10, 1_760_000, 180_000)})
    return service, user


def noon(day):
    return datetime(day.year, day.month, day.day, 6, 30, tzinfo=UTC)


def valued(service, user, day, cash, shelves):
    service.book.put(user, cash=cash, deposited=5_000_000, shelves=shelves)
    closes.take_close(service.context, day)


def contributed(story, first=None, last=None):
    service, user = story
    with service.database.for_users(user) as session:
        performance = get_performance(session, user, first=first, last=last, benchmark="NSE:NIFTY 50", risk_free=0.0)
        found = get_contributions(session, user, performance, None)
    return {one.name: one.pnl_paise for one in found.items}, found, performance


def test_since_the_beginning_and_over_a_part(story):
    whole, _, performance = contributed(story)
    assert whole == {INFY: 84_000, TCS: 40_000, "Charges": -3 * TAKEN}
    values = performance.history.values[0]
    assert sum(whole.values()) == values[-1] - 5_000_000
    part, found, performance = contributed(story, first=D2)
    assert part == {INFY: 6 * 155_000 + 644_000 - 10 * 150_000, TCS: 50_000, "Charges": -TAKEN}
    values = performance.history.values[0]
    assert sum(part.values()) == values[-1] - values[0]
    assert sum(one.ratio for one in found.items) == pytest.approx(performance.figures["twr"].value, abs=1e-12)
    first, _, _ = contributed(story, last=D2)
    assert {name: first[name] + contributed(story, first=D3)[0].get(name, 0) for name in first} == whole


def test_a_holding_without_a_price_is_unknown(story):
    service, user = story
    listing = Listing(instrument="NSE:NEW", token=9, name="NEW", tick_paise=5, lot_size=1)
    service.tell(InstrumentsListed(at=noon(D3), listings=[listing]))
    service.fill(user, quantity=1, value=25_000, traded_at=noon(D1), instrument="NSE:NEW")
    _, found, _ = contributed(story)
    assert (found.items, found.reason) == ((), "no_prices")
