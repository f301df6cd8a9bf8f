"""Random days at the broker: the books always add up, and the journal rebuilds them exactly."""

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from kite_sandbox.edge.views import equity_margin_view, history_view, order_view, positions_view
from kite_sandbox.engine import changes, entry
from kite_sandbox.engine import records as r
from kite_sandbox.engine.broker import Broker, Effects, Rules
from kite_sandbox.engine.days import advance
from kite_sandbox.engine.model import Product, Side
from kite_sandbox.engine.requests import change_request, order_request
from kite_sandbox.engine.state import State
from kite_sandbox.engine.ticks import move_prices
from kite_sandbox.errors import KiteError
from kite_sandbox.instruments import Catalogue, shipped_instruments
from kite_sandbox.market_hours import MarketHours
from saras_common.charges import DP_CHARGE_PAISE, order_charges

START = datetime(2026, 4, 6, 5, 0, tzinfo=UTC)
CASH = 50_000_000
CATALOGUE = Catalogue(shipped_instruments())
HOURS = MarketHours("always")
SYMBOLS = ("INFY", "SBIN")

orders = st.fixed_dictionaries(
    {
        "what": st.just("order"),
        "tradingsymbol": st.sampled_from(SYMBOLS),
        "transaction_type": st.sampled_from(("BUY", "SELL")),
        "quantity": st.integers(1, 60).map(str),
        "product": st.sampled_from(("CNC", "CNC", "MIS", "NRML")),
        "order_type": st.sampled_from(("MARKET", "LIMIT", "SL", "SL-M")),
        "price": st.integers(70, 160).map(lambda tens: str(tens * 10)),
        "trigger_price": st.integers(70, 160).map(lambda tens: str(tens * 10)),
        "validity": st.sampled_from(("DAY", "DAY", "IOC")),
        "partial": st.none() | st.fractions(0, 1, max_denominator=7),
        "is_rejected": st.sampled_from((False, False, False, True)),
    },
)
steps = st.one_of(
    orders,
    orders,
    st.tuples(st.just("price"), st.sampled_from(SYMBOLS), st.integers(700, 1600)),
    st.tuples(st.just("cancel"), st.integers(0, 30)),
    st.tuples(st.just("modify"), st.integers(0, 30), st.integers(1, 80), st.integers(70, 160)),
    st.just(("day",)),
)


def new_broker():
    broker = Broker(State(CATALOGUE, HOURS), Rules())
    broker.emit(r.JournalOpened(at=START, last_order_id=0, last_trade_id=0))
    broker.emit(r.AccountOpened(at=START, api_key="key", user_id="U", cash_paise=CASH))
    broker.emit(
        r.HoldingAdded(
            at=START, api_key="key", instrument="NSE:INFY", quantity=50, average_price_paise=99_999, ref="s"
        ),
    )
    advance(broker, START)
    return broker


def run_step(broker, step, now):
    account = broker.state.accounts["key"]
    placed = [item.order_id for item in broker.state.items if item.event == "order_accepted"]
    if isinstance(step, dict):
        fields = {"exchange": "NSE", "market_protection": "-1", **{name: step[name] for name in list(step)[1:-2]}}
        effects = Effects(is_rejected=step["is_rejected"], partial=step["partial"])
        entry.place(broker, account, order_request("regular", fields, CATALOGUE), now, effects)
    elif step[0] == "price":
        move_prices(broker, {f"NSE:{step[1]}": step[2] * 100}, now, is_kept=True)
    elif step[0] == "cancel" and placed:
        changes.cancel(broker, account, placed[step[1] % len(placed)], now)
    elif step[0] == "modify" and placed:
        change = change_request({"quantity": str(step[2]), "price": str(step[3] * 10)})
        changes.modify(broker, account, placed[step[1] % len(placed)], change, now)


def check_books(broker, totals):
    account = broker.state.accounts["key"]
    for symbol in SYMBOLS:
        key = f"NSE:{symbol}"
        shares = account.held_quantity(key) + sum(account.net_quantity(key, product) for product in Product)
        assert shares == totals[key]
        assert account.sellable_quantity(key) >= 0
        assert account.promised.get(key, 0) >= 0
    resting = [order for book in broker.state.resting.values() for order in book.values()]
    shorts = sum(position.short_value_paise * 6 // 5 for position in account.positions.values())
    assert account.blocked_paise == sum(order.blocked_paise for order in resting) + shorts
    assert all(order.status.is_resting for order in resting)


def cash_from_journal(broker):
    """Cash recomputed from the journal's fills alone, by order and day."""
    cash, values, sold = CASH, {}, set()
    for item in broker.state.items:
        if item.event != "fill":
            continue
        day = (item.at + timedelta(hours=5, minutes=30)).date()
        amount = item.quantity * item.price_paise
        cash += -amount if item.transaction_type == Side.BUY else amount
        terms = (item.exchange, str(item.product), str(item.transaction_type))
        values[item.order_id] = (terms, values.get(item.order_id, (terms, 0, day))[1] + amount, day)
        if item.product == Product.CNC and item.transaction_type == Side.SELL and (item.tradingsymbol, day) not in sold:
            sold.add((item.tradingsymbol, day))
            cash -= DP_CHARGE_PAISE
    return cash - sum(order_charges(*terms, value, day).total_paise for terms, value, day in values.values())


def fingerprint(broker, now):
    state = broker.state
    account = state.accounts["key"]
    return (
        [order_view(order) for order in account.orders.values()],
        [history_view(order) for order in account.orders.values()],
        positions_view(account, state, now),
        {key: (holding.settled, holding.arriving, holding.cost_paise) for key, holding in account.holdings.items()},
        equity_margin_view(account),
        {key: list(book) for key, book in state.resting.items() if book},
        {key: count for key, count in account.promised.items() if count},
        state.items,
        (state.last_order_id, state.last_trade_id, account.requests_today, account.dp_charged),
    )


@settings(max_examples=300, deadline=None)
@given(st.lists(steps, max_size=40))
def test_books_add_up_and_the_journal_rebuilds_them(script):
    broker, now = new_broker(), START
    for step in script:
        if step == ("day",):
            now += timedelta(days=1)
        with suppress(KiteError):
            run_step(broker, step, now)
        advance(broker, now)
        totals = {"NSE:INFY": 50, "NSE:SBIN": 0}
        for item in broker.state.items:
            if item.event == "fill":
                sign = 1 if item.transaction_type == Side.BUY else -1
                totals[f"NSE:{item.tradingsymbol}"] += sign * item.quantity
        check_books(broker, totals)
    assert broker.state.accounts["key"].cash_paise == cash_from_journal(broker)

    rebuilt = Broker(State(CATALOGUE, HOURS), Rules())
    for record in broker.records:
        rebuilt.state.apply(r.from_dict(json.loads(json.dumps(r.to_dict(record)))))
    assert fingerprint(rebuilt, now) == fingerprint(broker, now)


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 10**6), st.lists(st.integers(1, 500), min_size=1, max_size=6), st.sampled_from(("CNC", "MIS")))
def test_charges_do_not_depend_on_how_an_order_fills(price, parts, product):
    """Fills in any number of parts are charged like one fill of the whole."""
    broker = new_broker()
    account = broker.state.accounts["key"]
    account.cash_paise = 10**14
    tick = 10
    move_prices(broker, {"NSE:INFY": price * tick}, START, is_kept=True)
    total = sum(parts)
    fields = {
        "exchange": "NSE", "tradingsymbol": "INFY", "transaction_type": "BUY", "quantity": str(total),
        "product": product,
        "order_type": "MARKET", "market_protection": "100",
    }  # fmt: skip
    effects = Effects(partial=Fraction(parts[0], total))
    order_id = entry.place(broker, account, order_request("regular", fields, CATALOGUE), START, effects)
    order = broker.state.orders[order_id]
    for part in parts[1:]:
        order.fill_cap = part
        move_prices(broker, {"NSE:INFY": price * tick}, START, is_kept=True)
    assert (order.filled, len(order.trades)) == (total, len(parts))
    whole = order_charges("NSE", product, "BUY", total * price * tick, START.date()).total_paise
    assert order.charges_paise == whole
