"""The engine by itself: money to the paisa, days, shares, stops."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest

from kite_sandbox.engine import changes, entry
from kite_sandbox.engine import records as r
from kite_sandbox.engine.broker import Effects
from kite_sandbox.engine.conversions import convert_position
from kite_sandbox.engine.days import advance
from kite_sandbox.engine.model import Product, Status
from kite_sandbox.engine.requests import change_request, order_request
from kite_sandbox.engine.ticks import move_prices, rematch
from kite_sandbox.errors import KiteError
from kite_sandbox.market_hours import MarketHours

NOW = datetime(2026, 4, 6, 5, 0, tzinfo=UTC)
LAKH_10 = 100_000_000


def place(broker, side, quantity, *, at=NOW, effects=None, **fields):
    terms = {
        "exchange": "NSE",
        "tradingsymbol": "INFY",
        "transaction_type": side,
        "quantity": str(quantity),
        "product": "CNC",
        "order_type": "MARKET",
        "market_protection": "-1",
        **fields,
    }
    request = order_request(terms.pop("variety", "regular"), terms, broker.state.catalogue)
    account = broker.state.accounts["key"]
    order_id = entry.place(broker, account, request, at, effects or Effects())
    return broker.state.orders[order_id]


def set_price(broker, rupees, at=NOW, key="NSE:INFY"):
    move_prices(broker, {key: int(Decimal(str(rupees)) * 100)}, at, is_kept=True)


def give(broker, quantity, price_paise=150_000, ref="seed"):
    broker.emit(
        r.HoldingAdded(
            at=NOW,
            api_key="key",
            instrument="NSE:INFY",
            quantity=quantity,
            average_price_paise=price_paise,
            ref=ref,
        ),
    )


@pytest.fixture
def broker(new_broker):
    broker = new_broker()
    set_price(broker, 1500)
    return broker


@pytest.fixture
def account(broker):
    return broker.state.accounts["key"]


# Charges of algorithms.md, section 4: the published calculator's figures.


def test_delivery_purchase_costs_its_value_and_charges(broker, account):
    place(broker, "BUY", 100)
    assert account.cash_paise == LAKH_10 - 15_000_000 - 17_811
    assert account.blocked_paise == 0


def test_delivery_sale_pays_the_depository_once_a_day(broker, account):
    give(broker, 200)
    set_price(broker, 1600)
    place(broker, "SELL", 100)
    assert account.cash_paise == LAKH_10 + 16_000_000 - 16_598 - 1_534
    assert account.blocked_paise == 0
    place(broker, "SELL", 100)
    assert account.cash_paise == LAKH_10 + 2 * (16_000_000 - 16_598) - 1_534
    give(broker, 200, ref="more")
    tomorrow = NOW + timedelta(days=1)
    place(broker, "SELL", 100, at=tomorrow)
    assert account.cash_paise == LAKH_10 + 3 * (16_000_000 - 16_598) - 2 * 1_534


@pytest.mark.parametrize(
    ("side", "price", "charges"),
    [("BUY", 1000, 5_056), ("SELL", 1100, 15_006)],
)
def test_intraday_charges(broker, account, side, price, charges):
    set_price(broker, price)
    place(broker, side, 400, product="MIS")
    value = 400 * price * 100 * (-1 if side == "BUY" else 1)
    assert account.cash_paise == LAKH_10 + value - charges


def test_charges_are_rounded_once_over_an_orders_fills(broker, account):
    order = place(broker, "BUY", 7, order_type="LIMIT", price="1510", effects=Effects(partial=Fraction(3, 7)))
    assert (order.filled, order.charges_paise) == (3, 534)
    rematch(broker, ["NSE:INFY"], NOW)
    assert (order.filled, order.charges_paise) == (7, 1_247)
    assert account.cash_paise == LAKH_10 - 7 * 150_000 - 1_247


# Money and shares that are spoken for.


def test_open_orders_block_money_and_give_it_back(broker, account):
    order = place(broker, "BUY", 10, order_type="LIMIT", price="1000")
    blocked = account.blocked_paise
    assert blocked == 1_000_000 + 1_187
    changes.modify(broker, account, order.order_id, change_request({"quantity": "20"}), NOW)
    assert account.blocked_paise == 2_000_000 + 2_375
    changes.cancel(broker, account, order.order_id, NOW)
    assert account.blocked_paise == 0
    assert account.available_paise == LAKH_10


def test_what_is_blocked_cannot_be_spent_twice(broker, account):
    place(broker, "BUY", 900, order_type="LIMIT", price="1000")
    with pytest.raises(KiteError, match=r"Required margin is 300356\.22 but available margin is 98931\.33"):
        place(broker, "BUY", 200)
    assert len(account.orders) == 1


def test_partial_fill_releases_its_part(broker, account):
    order = place(broker, "BUY", 10, order_type="LIMIT", price="1510", effects=Effects(partial=Fraction(1, 2)))
    assert order.blocked_paise == account.blocked_paise == (10 * 151_000 + 1_793) // 2
    changes.cancel(broker, account, order.order_id, NOW)
    assert (account.blocked_paise, order.status, order.filled) == (0, Status.CANCELLED, 5)


def test_shares_promised_to_one_order_cannot_be_sold_by_another(broker, account):
    give(broker, 10)
    order = place(broker, "SELL", 8, order_type="LIMIT", price="1600")
    with pytest.raises(KiteError, match="You can sell 2"):
        place(broker, "SELL", 3)
    with pytest.raises(KiteError):
        changes.modify(broker, account, order.order_id, change_request({"quantity": "11"}), NOW)
    changes.modify(broker, account, order.order_id, change_request({"quantity": "10"}), NOW)
    with pytest.raises(KiteError):
        place(broker, "SELL", 1)
    changes.cancel(broker, account, order.order_id, NOW)
    place(broker, "SELL", 10)
    assert account.held_quantity("NSE:INFY") + account.net_quantity("NSE:INFY", Product.CNC) == 0


def test_shares_bought_today_can_be_sold_today(broker, account):
    place(broker, "BUY", 10)
    place(broker, "SELL", 10)
    with pytest.raises(KiteError):
        place(broker, "SELL", 1)


def test_a_short_blocks_its_proceeds_and_a_fifth(broker, account):
    place(broker, "SELL", 100, product="MIS")
    assert account.blocked_paise == 100 * 150_000 * 6 // 5
    assert account.available_paise < LAKH_10
    place(broker, "BUY", 100, product="MIS")
    assert account.blocked_paise == 0


def test_closing_a_short_needs_no_new_money(new_broker):
    broker = new_broker(cash_paise=4_000_000)
    set_price(broker, 1500)
    place(broker, "SELL", 100, product="MIS")
    place(broker, "BUY", 100, product="MIS")
    assert broker.state.accounts["key"].position(broker.state.instrument("NSE:INFY"), Product.MIS).quantity == 0


# Matching.


@pytest.mark.parametrize(
    ("side", "limit", "last", "fills"),
    [
        ("BUY", "1500", 1500, True),
        ("BUY", "1499.9", 1500, False),
        ("SELL", "1500", 1500, True),
        ("SELL", "1500.1", 1500, False),
    ],
)
def test_limits_trade_at_or_better(broker, side, limit, last, fills):
    set_price(broker, last)
    order = place(broker, side, 1, product="MIS", order_type="LIMIT", price=limit)
    assert (order.status is Status.COMPLETE) is fills


def test_a_better_price_is_given_to_the_order(broker, account):
    place(broker, "BUY", 1, order_type="LIMIT", price="1600")
    assert account.trades[0].price_paise == 150_000


@pytest.mark.parametrize(
    ("side", "protection", "band"),
    [("BUY", "-1", 153_000), ("SELL", "-1", 147_000), ("BUY", "0.33", 150_490), ("SELL", "0.33", 149_510)],
)
def test_the_band_of_a_market_order_is_on_the_grid_inside_the_percentage(broker, side, protection, band):
    order = place(broker, side, 1, product="MIS", market_protection=protection)
    assert order.price_paise == band
    assert order.tags[0] == "mktp"


def test_older_orders_trade_first(broker, account):
    first = place(broker, "BUY", 1, order_type="LIMIT", price="1400")
    second = place(broker, "BUY", 1, order_type="LIMIT", price="1410")
    set_price(broker, 1390)
    assert [trade.order for trade in account.trades] == [first, second]


def test_a_stop_that_gaps_past_its_limit_waits(broker):
    order = place(broker, "BUY", 1, product="MIS", order_type="SL", trigger_price="1550", price="1560")
    set_price(broker, 1580)
    assert order.status is Status.OPEN
    set_price(broker, 1559)
    assert order.status is Status.COMPLETE


@pytest.mark.parametrize(("side", "trigger"), [("BUY", "1500"), ("BUY", "1490"), ("SELL", "1500"), ("SELL", "1510")])
def test_a_trigger_on_the_wrong_side_of_the_market_is_refused(broker, side, trigger):
    with pytest.raises(KiteError, match="last price"):
        place(broker, side, 1, product="MIS", order_type="SL-M", trigger_price=trigger)


def test_modifying_to_market_fills(broker, account):
    order = place(broker, "BUY", 1, order_type="LIMIT", price="1400")
    with pytest.raises(KiteError, match="market protection"):
        changes.modify(
            broker, account, order.order_id, change_request({"order_type": "MARKET", "market_protection": "0"}), NOW
        )
    changes.modify(
        broker, account, order.order_id, change_request({"order_type": "MARKET", "market_protection": "-1"}), NOW
    )
    assert order.status is Status.COMPLETE


def test_quantity_cannot_be_cut_to_what_has_traded(broker, account):
    order = place(broker, "BUY", 10, order_type="LIMIT", price="1500", effects=Effects(partial=Fraction(1, 2)))
    with pytest.raises(KiteError, match="filled"):
        changes.modify(broker, account, order.order_id, change_request({"quantity": "5"}), NOW)
    changes.modify(broker, account, order.order_id, change_request({"quantity": "6"}), NOW)
    assert (order.status, order.filled) == (Status.COMPLETE, 6)


# Days.


def test_delivery_positions_become_holdings_and_settle(new_broker):
    broker = new_broker(hours=MarketHours("nse"))
    account = broker.state.accounts["key"]
    thursday = datetime(2026, 4, 9, 5, 0, tzinfo=UTC)
    set_price(broker, 1500, thursday)
    place(broker, "BUY", 10, at=thursday)
    advance(broker, thursday + timedelta(days=1))
    holding = account.holdings["NSE:INFY"]
    assert (holding.quantity, holding.settled, holding.cost_paise) == (10, 0, 1_500_000)
    assert account.positions == {}
    place(broker, "SELL", 4, at=thursday + timedelta(days=1))
    advance(broker, thursday + timedelta(days=2))
    assert (holding.quantity, holding.settled, holding.cost_paise) == (6, 0, 900_000)
    advance(broker, datetime(2026, 4, 13, 5, 0, tzinfo=UTC))
    assert (holding.quantity, holding.settled) == (6, 6)


def test_selling_everything_removes_the_holding(broker, account):
    give(broker, 10)
    place(broker, "SELL", 10)
    advance(broker, NOW + timedelta(days=1))
    assert account.holdings == {}


def test_intraday_positions_are_squared_off_and_the_book_empties(broker, account):
    place(broker, "BUY", 10, product="MIS")
    place(broker, "SELL", 5, product="MIS", tradingsymbol="SBIN")
    waiting = place(broker, "BUY", 1, order_type="LIMIT", price="1000")
    set_price(broker, 1600)
    advance(broker, NOW + timedelta(days=1))
    assert account.positions == {}
    assert (account.orders, account.trades, account.blocked_paise) == ({}, [], 0)
    assert waiting.status is Status.CANCELLED
    assert account.opening_paise == account.cash_paise
    events = [item.event for item in broker.state.items]
    assert events.count("fill") == 4
    assert events.count("order_cancelled") == 1
    day = {item.at.date() for item in broker.state.items}
    assert day == {date(2026, 4, 6)}


def test_nrml_positions_are_carried_with_their_value(broker, account):
    place(broker, "BUY", 10, product="NRML")
    set_price(broker, 1600)
    place(broker, "SELL", 4, product="NRML")
    advance(broker, NOW + timedelta(days=1))
    position = account.positions["NSE:INFY", Product.NRML]
    assert (position.overnight, position.overnight_value_paise, position.quantity) == (6, 900_000, 6)
    assert broker.state.market.get(position.instrument, NOW).close_paise == 160_000


def test_the_close_lapses_orders_and_amo_waits_for_the_morning(new_broker):
    broker = new_broker(hours=MarketHours("nse"))
    account = broker.state.accounts["key"]
    waiting = place(broker, "BUY", 1, order_type="LIMIT", price="1000")
    evening = datetime(2026, 4, 6, 11, 0, tzinfo=UTC)
    with pytest.raises(KiteError, match="AMO"):
        place(broker, "BUY", 1, at=evening)
    assert waiting.status is Status.CANCELLED
    queued = place(broker, "BUY", 1, at=evening, variety="amo")
    assert queued.status is Status.AMO_RECEIVED
    assert account.blocked_paise > 0
    morning = datetime(2026, 4, 7, 2, 0, tzinfo=UTC)
    advance(broker, morning)
    assert account.orders == {queued.order_id: queued}
    set_price(broker, 1490, morning)
    assert queued.status is Status.AMO_RECEIVED
    advance(broker, datetime(2026, 4, 7, 3, 45, tzinfo=UTC))
    assert queued.status is Status.COMPLETE
    with pytest.raises(KiteError, match="4:00 PM"):
        place(broker, "BUY", 1, at=datetime(2026, 4, 7, 5, 0, tzinfo=UTC), variety="amo")


def test_a_queued_order_can_be_cancelled(new_broker):
    broker = new_broker(hours=MarketHours("nse"))
    evening = datetime(2026, 4, 6, 11, 0, tzinfo=UTC)
    queued = place(broker, "BUY", 1, at=evening, variety="amo")
    changes.cancel(broker, broker.state.accounts["key"], queued.order_id, evening)
    assert (queued.status, broker.state.queued, broker.state.accounts["key"].blocked_paise) == (Status.CANCELLED, {}, 0)


def test_ids_rise_even_when_the_clock_does_not(broker):
    orders = [place(broker, "BUY", 1) for _ in range(3)]
    assert len({order.order_id for order in orders}) == 3
    assert int(orders[0].order_id) < int(orders[1].order_id) < int(orders[2].order_id)
    earlier = place(broker, "BUY", 1, at=NOW - timedelta(hours=1))
    assert int(earlier.order_id) > int(orders[2].order_id)
    assert all(len(order.order_id) == 19 for order in [*orders, earlier])


# Conversions.


def convert(broker, account, quantity, old, new, side="BUY"):
    fields = {
        "exchange": "NSE",
        "tradingsymbol": "INFY",
        "transaction_type": side,
        "position_type": "day",
        "quantity": str(quantity),
        "old_product": old,
        "new_product": new,
    }
    convert_position(broker, account, fields, NOW)


def test_conversion_moves_quantity_and_value(broker, account):
    place(broker, "BUY", 3, product="MIS")
    set_price(broker, 1500.10)
    place(broker, "BUY", 3, product="MIS")
    convert(broker, account, 2, "MIS", "CNC")
    kept, moved = account.positions["NSE:INFY", Product.MIS], account.positions["NSE:INFY", Product.CNC]
    assert (kept.quantity, moved.quantity) == (4, 2)
    assert kept.buy_value_paise + moved.buy_value_paise == 3 * 150_000 + 3 * 150_010


def test_conversion_cannot_conjure_shares(broker, account):
    place(broker, "BUY", 5)
    place(broker, "SELL", 5, order_type="LIMIT", price="1600")
    with pytest.raises(KiteError, match="promised"):
        convert(broker, account, 5, "CNC", "MIS")
    place(broker, "SELL", 5, product="MIS")
    with pytest.raises(KiteError):
        convert(broker, account, 5, "MIS", "CNC", side="SELL")
    with pytest.raises(KiteError):
        convert(broker, account, 1, "NRML", "CNC")


def test_an_impossible_status_step_raises(broker):
    order = place(broker, "BUY", 1)
    with pytest.raises(ValueError, match="COMPLETE to OPEN"):
        order.step(Status.OPEN, NOW)
