"""Executions in, trades and positions out, whatever comes twice, wrong or in pieces."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from analytics_service.store import trades as stored
from analytics_service.usecases import trades
from analytics_service.usecases.trades import AlreadyReplayed, StillRejected
from saras_common.clock import trading_day
from saras_common.consumer import Consumer
from saras_common.errors import NotFound
from saras_common.events import pack
from saras_common.ids import new_id

INFY, TCS = "NSE:INFY", "NSE:TCS"
CHARGES = (0, 1500, 46, 2, 225, 9, 0)


def snapshot(service):
    return service.rows("SELECT * FROM positions ORDER BY user_id, source, instrument, product")


def test_an_execution_is_enriched_and_followed_by_its_position(service):
    user = service.user()
    service.fill(user, charges=CHARGES)
    (trade,) = service.rows("SELECT * FROM trades")
    assert (trade.quantity, trade.value_paise, trade.charges) == (10, 1_500_000, list(CHARGES))
    assert trade.counterparty == "NSE Clearing Limited"
    day = trading_day(service.clock.now())
    assert (day.isoformat(), trade.settles_on.isoformat()) == ("2026-03-02", "2026-03-04")  # the 3rd is Holi
    (position,) = service.rows("SELECT * FROM positions")
    assert (position.quantity, position.cost_paise, position.charges_paise) == (10, 1_500_000, sum(CHARGES))
    assert (position.bought, position.bought_paise, position.trades) == (10, 1_500_000, 1)


def test_a_delivery_that_comes_twice_counts_once(service, database_for):
    user = service.user()
    events = [service.posting(user), service.posting(user, "SELL", 4, 640_000)]
    consumer = Consumer(None, "analytics-service", service.database, service._handle)
    for _ in range(2):
        consumer.deliver(list(pack(events)))
    assert (consumer.applied, consumer.repeated) == (2, 2)
    assert service.scalar("SELECT count(*) FROM trades") == 2
    (position,) = service.rows("SELECT * FROM positions")
    assert (position.quantity, position.realised_paise) == (6, 40_000)


def test_a_true_up_moves_cost_and_a_bust_takes_back(service):
    user, order = service.user(), new_id()
    service.fill(user, order_id=order, quantity=10, value=1_500_000)
    service.fill(user, order_id=order, quantity=0, value=-5, kind="true_up", charges=CHARGES)
    (position,) = service.rows("SELECT * FROM positions")
    assert (position.quantity, position.cost_paise, position.trades) == (10, 1_499_995, 1)
    service.fill(user, order_id=order, quantity=-10, value=-1_499_995, kind="bust")
    (position,) = service.rows("SELECT * FROM positions")
    assert (position.quantity, position.cost_paise, position.realised_paise) == (0, 0, 0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"instrument": "NSE:NONE"}, "unknown_instrument"),
        ({"price_paise": 1}, "price_out_of_range"),
        ({"price_paise": 150_000 * 2}, "price_out_of_range"),
        ({"quantity": 0}, "not_positive"),
        ({"ahead": timedelta(days=1)}, "in_future"),
    ],
)
def test_what_does_not_pass_is_kept_with_its_reason(service, change, reason):
    ahead = change.pop("ahead", timedelta())
    service.record(service.user(), traded_at=service.clock.now() + ahead, **change)
    (row,) = service.rows("SELECT * FROM rejected_trades")
    assert (row.reason, row.status, row.body["instrument"]) == (reason, "open", change.get("instrument", INFY))
    assert service.scalar("SELECT count(*) FROM trades") == 0
    assert service.counted == [(0, 1)]


def test_the_same_trade_recorded_twice_is_a_duplicate(service):
    user = service.user()
    service.record(user)
    service.record(user)
    assert service.scalar("SELECT count(*) FROM trades") == 1
    assert service.scalar("SELECT reason FROM rejected_trades") == "duplicate"
    service.record(service.user())  # somebody else's is not
    assert service.scalar("SELECT count(*) FROM trades") == 2


def test_a_day_without_prices_judges_no_price(service):
    service.record(service.user(), price_paise=1, traded_at=service.clock.now() - timedelta(days=400))
    assert service.scalar("SELECT count(*) FROM trades") == 1


def replay(service, rejected_id, **corrections):
    with service.database.for_service() as session:
        return trades.replay_rejected(
            session, rejected_id, corrections, by=new_id(), band_percent=20, now=service.clock.now()
        )


def test_a_rejected_trade_is_corrected_and_replayed_once(service):
    user = service.user()
    service.record(user, instrument="NSE:NONE", quantity=3, price_paise=349_000)
    rejected_id = service.scalar("SELECT id FROM rejected_trades")
    with pytest.raises(StillRejected):
        replay(service, rejected_id, instrument="NSE:NOTHING")
    replay(service, rejected_id, instrument=TCS)
    (row,) = service.rows("SELECT * FROM rejected_trades")
    assert (row.status, row.corrections) == ("replayed", {"instrument": TCS})
    assert row.body["instrument"] == "NSE:NONE"  # what was told stays as it was told
    (position,) = service.rows("SELECT * FROM positions")
    assert (position.instrument, position.quantity, position.source) == (TCS, 3, "elsewhere")
    with pytest.raises(AlreadyReplayed):
        replay(service, rejected_id)
    with pytest.raises(NotFound):
        replay(service, new_id())


def test_what_later_prices_make_good_goes_in_by_itself(service):
    user = service.user()
    service.fill(user, value=10 * 300_000)  # before the mark that goes with it
    service.fill(user, instrument="NSE:NEW", value=10 * 1000)
    service.record(user, quantity=0)  # nothing mends that
    assert service.scalar("SELECT count(*) FROM trades") == 0
    service.list_market({INFY: 300_000, "NSE:NEW": 1000})
    with service.database.for_service() as session:
        assert trades.reconsider(session, band_percent=20, now=service.clock.now()) == 2
    assert service.rows("SELECT status, count(*) FROM rejected_trades GROUP BY 1 ORDER BY 1") == [
        ("open", 1),
        ("replayed", 2),
    ]
    with service.database.for_service() as session:
        assert trades.reconsider(session, band_percent=20, now=service.clock.now()) == 0


def trade_at_random(service, dice, users, count):
    orders = []
    for number in range(count):
        user, side = dice.choice(users), dice.choice(["BUY", "BUY", "SELL"])
        instrument, quantity = dice.choice([INFY, TCS]), dice.randint(1, 50)
        price = dice.randint(140_000, 160_000) if instrument == INFY else dice.randint(330_000, 370_000)
        order = new_id()
        orders.append((user, side, instrument, order))
        service.fill(
            user, side, quantity, quantity * price, instrument=instrument, order_id=order,
            traded_at=service.clock.now() + timedelta(microseconds=number), charges=CHARGES,
        )  # fmt: skip
        if number % 7 == 0:
            user, side, instrument, order = dice.choice(orders)
            service.fill(user, side, 0, dice.randint(-50, 50), instrument=instrument, order_id=order, kind="true_up")
        if number % 11 == 0:
            service.record(user, quantity=dice.randint(1, 9), traded_at=service.clock.now() - timedelta(days=number))


@pytest.mark.parametrize("batch", [1, 7, 20_000])
def test_replaying_the_whole_store_gives_the_same_rows(service, dice, monkeypatch, batch):
    users = [service.user() for _ in range(4)]
    trade_at_random(service, dice, users, 120)
    before = snapshot(service)
    assert len(before) >= 8
    with service.database.for_service() as session:
        session.execute(text("DELETE FROM positions"))
    monkeypatch.setattr(trades, "REPLAY_BATCH", batch)
    with service.database.for_service() as session:
        count = trades.rebuild(session)
    assert count == service.scalar("SELECT count(*) FROM trades")
    assert snapshot(service) == before


def test_profit_is_what_was_received_less_what_was_paid(service, dice):
    users = [service.user() for _ in range(3)]
    trade_at_random(service, dice, users, 150)
    for user in users:
        with service.database.for_users(user) as session:
            for _, position in stored.list_positions(session, user):
                paid = position.sold_paise - position.bought_paise
                assert position.quantity == position.bought - position.sold
                assert position.profit(123) == paid + position.quantity * 123
                assert position.fifo_realised - position.fifo_cost == paid
                assert sum(lot.remaining for lot in position.lots) == position.quantity
