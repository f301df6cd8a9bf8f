"""Accepting orders: refusals, keys, and what happens when two come at once."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from portfolio_service.domain.requests import EntryRequest
from portfolio_service.schemas import OrderIn
from saras_common.errors import SarasError
from saras_common.events import InstrumentsBlocked, OrderAccepted, UserChanged
from saras_common.ids import new_id

INFY, TCS = "NSE:INFY", "NSE:TCS"


def request(user, *orders, atomic=False, key=None, fingerprint=b"f"):
    bodies = [{"order_type": "MARKET", "quantity": 1, "instrument": INFY, "side": "BUY", **order} for order in orders]
    return EntryRequest(str(user), [OrderIn.model_validate(body) for body in bodies], atomic, key, fingerprint)


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ({"instrument": "NSE:NOSUCH"}, "unknown_instrument"),
        ({"order_type": "LIMIT", "price": "1500.01"}, "price_off_tick"),
        ({"order_type": "SL-M", "trigger_price": "1500.02"}, "price_off_tick"),
        ({"order_type": "LIMIT"}, "invalid_input"),
        ({"order_type": "MARKET", "price": "1500"}, "invalid_input"),
        ({"order_type": "SL", "price": "1500"}, "invalid_input"),
        ({"order_type": "SL-M"}, "invalid_input"),
        ({"order_type": "SL-M", "price": "1500", "trigger_price": "1500"}, "invalid_input"),
        ({"quantity": 1_000_001}, "limit_breached"),
        ({"quantity": 100_000}, "limit_breached"),
        ({"order_type": "LIMIT", "price": "2250.05"}, "limit_breached"),
        ({"quantity": 100}, "insufficient_funds"),
        ({"side": "SELL"}, "insufficient_holdings"),
        ({"portfolio_id": "01900000-0000-7000-8000-000000000000"}, "not_found"),
        ({"portfolio_id": "x"}, "not_found"),
    ],
)
def test_refusals_leave_no_trace(book, terms, code):
    user = book.user(rupees=10_000)
    before = book.scalar("SELECT count(*) FROM entries")
    (outcome,) = book.place(request(user, terms))
    (refusal,) = outcome.items
    assert isinstance(refusal, SarasError)
    assert refusal.code == code
    assert book.scalar("SELECT count(*) FROM entries") == before
    assert book.scalar("SELECT count(*) FROM orders") == 0
    assert book.told(OrderAccepted) == []


def test_a_lot_size_is_kept(book):
    book.rows("UPDATE instruments SET lot_size = 50 WHERE name = 'NSE:TCS' RETURNING name")
    user = book.user(rupees=1_000_000)
    assert book.buy(user, TCS, 75).code == "quantity_off_lot"
    assert book.buy(user, TCS, 50).status == "ACCEPTED"


def test_no_price_no_market_order(book):
    book.rows("UPDATE instruments SET name = 'NSE:QUIET' WHERE name = 'NSE:TCS' RETURNING name")
    user = book.user(rupees=10_000)
    assert book.buy(user, "NSE:QUIET").code == "price_unavailable"
    assert book.buy(user, "NSE:QUIET", order_type="LIMIT", price="10").status == "ACCEPTED"


def test_buys_of_a_blocked_instrument_stop_and_start_again(book):
    user = book.holder(INFY, 2, rupees=10_000)
    told = {"at": book.clock.now(), "account_id": "main", "instruments": [INFY]}
    book.tell(InstrumentsBlocked(**told, blocked=True))
    assert book.buy(user, INFY).code == "instrument_blocked"
    assert book.sell(user, INFY).status == "ACCEPTED"
    book.tell(InstrumentsBlocked(**told, blocked=False))
    assert book.buy(user, INFY).status == "ACCEPTED"


def test_users_are_refused_by_status_and_older_news_is_ignored(book):
    user = book.user(rupees=10_000)

    def changed(version, status):
        return UserChanged(
            at=book.clock.now(), user_id=user, version=version, email="a@b.c", full_name="A", status=status,
            roles=["user"], kyc_status="none",
        )  # fmt: skip

    book.tell(changed(5, "disabled"), changed(4, "active"))
    assert book.buy(user).code == "user_disabled"
    book.tell(changed(6, "active"))
    assert book.buy(user).status == "ACCEPTED"


def test_orders_of_one_request_see_one_another(book):
    user = book.user(rupees=3_100)
    (outcome,) = book.place(request(user, {}, {}, {}))
    assert [getattr(item, "code", None) or item.status for item in outcome.items] == [
        "ACCEPTED",
        "ACCEPTED",
        "insufficient_funds",
    ]
    book.check()


def test_an_atomic_batch_is_all_or_nothing(book):
    user = book.user(rupees=3_100)
    (outcome,) = book.place(request(user, {}, {}, {}, {"instrument": "NSE:NOSUCH"}, atomic=True))
    assert outcome.error.code == "insufficient_funds"
    assert [error["field"] for error in outcome.error.errors] == ["orders.2", "orders.3"]
    assert book.scalar("SELECT count(*) FROM orders") == 0
    assert book.balance(user, "held") == 0
    # the same group commit goes on with the money the refused batch gave back
    refused, accepted = book.place(request(user, {}, {}, {}, atomic=True), request(user, {}, {}, atomic=True))
    assert refused.error is not None
    assert len(accepted.items) == 2
    book.check()


def test_a_refused_request_leaves_its_neighbours_alone(book):
    rich, poor = book.user(rupees=10_000), book.user(rupees=10)
    outcomes = book.place(request(poor, {}), request(rich, {}), request(poor, {}))
    assert [getattr(outcome.items[0], "code", "fine") for outcome in outcomes] == [
        "insufficient_funds",
        "fine",
        "insufficient_funds",
    ]


def test_a_sell_needs_the_shares_in_its_own_portfolio(book):
    user = book.holder(INFY, 5)
    other = str(book.rows(
        "INSERT INTO portfolios (id, user_id, name, created_at) VALUES (:i, :u, 'Other', now()) RETURNING id",
        i=new_id(), u=user,
    )[0][0])  # fmt: skip
    assert book.sell(user, INFY, 1, portfolio_id=other).code == "insufficient_holdings"
    assert book.sell(user, INFY, 5).status == "ACCEPTED"
    assert book.sell(user, INFY, 1).code == "insufficient_holdings"


def test_a_stop_buy_holds_up_to_its_trigger_and_the_band(book):
    user = book.user(rupees=10_000)
    order = book.buy(user, INFY, 1, order_type="SL-M", trigger_price="1600")
    assert book.told(OrderAccepted)[0].cap_price_paise == 164_800
    assert book.stored(order).hold_paise > 164_800


# --- keys -------------------------------------------------------------------------------------------------------


def test_the_same_key_gives_the_first_answer_even_after_the_order_moved_on(book):
    user = book.user(rupees=10_000)
    (first,) = book.place(request(user, {}, {"side": "SELL"}, key="k"))
    book.fill(first.items[0], 1, 150_000)
    (again,) = book.place(request(user, {}, {"side": "SELL"}, key="k"))
    assert again.replayed
    assert again.items[0] == first.items[0]
    assert again.items[1].code == first.items[1].code == "insufficient_holdings"
    (other,) = book.place(request(user, {}, key="k", fingerprint=b"other"))
    assert other.error.code == "idempotency_key_reused"
    assert book.scalar("SELECT count(*) FROM orders") == 1


def test_a_refusal_is_an_answer_too(book):
    user = book.user(rupees=10)
    (first,) = book.place(request(user, {}, atomic=True, key="k"))
    book.deposit(user, 10_000_00)
    (again,) = book.place(request(user, {}, atomic=True, key="k"))
    assert (again.replayed, again.error.code, again.error.status) == (True, first.error.code, 422)


def test_the_same_key_twice_in_one_group(book):
    user = book.user(rupees=10_000)
    first, second, third = book.place(
        request(user, {}, key="k"), request(user, {}, key="k"), request(user, {}, key="k", fingerprint=b"other")
    )
    assert (first.replayed, second.replayed) == (False, True)
    assert second.items == first.items
    assert third.error.code == "idempotency_key_reused"
    assert book.scalar("SELECT count(*) FROM orders") == 1


def test_keys_are_per_user(book):
    outcomes = [book.place(request(book.user(rupees=10_000), {}, key="k"))[0] for _ in range(2)]
    assert not any(outcome.replayed for outcome in outcomes)


def test_one_key_twenty_times_at_once_acts_once(book):
    user = book.user(rupees=100_000)
    with ThreadPoolExecutor(20) as pool:
        outcomes = list(pool.map(lambda _: book.place(request(user, {}, key="k"))[0], range(20)))
    assert len({outcome.items[0].id for outcome in outcomes}) == 1
    assert sum(not outcome.replayed for outcome in outcomes) == 1
    assert book.scalar("SELECT count(*) FROM orders") == 1


# --- at once ----------------------------------------------------------------------------------------------------


def test_two_sells_of_the_last_share_one_wins(book):
    user = book.holder(INFY, 1)
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: book.sell(user, INFY, 1), range(8)))
    assert sum(not isinstance(result, SarasError) for result in results) == 1
    assert {result.code for result in results if isinstance(result, SarasError)} == {"insufficient_holdings"}
    assert book.balance(user, "securities_held", f"{INFY}|CNC") == 1
    book.check()


def test_strangers_at_once_get_one_record_each(book):
    users = [new_id() for _ in range(3)]
    with ThreadPoolExecutor(8) as pool:
        refusals = list(pool.map(lambda number: book.buy(users[number % 3], INFY, 1), range(24)))
    assert {refusal.code for refusal in refusals} == {"insufficient_funds"}
    assert book.scalar("SELECT count(*) FROM clients") == 3
    assert book.scalar("SELECT count(*) FROM portfolios") == 3


def test_money_is_spent_once(book):
    user = book.user(rupees=5_000)
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: book.buy(user, INFY, 1), range(16)))
    assert sum(not isinstance(result, SarasError) for result in results) == 3
    book.check()


def test_orders_deposits_and_fills_at_once_leave_a_sound_book(book, dice):
    users = [book.user(rupees=20_000) for _ in range(6)]

    def trade(number):
        user = users[number % len(users)]
        if number % 5 == 0:
            book.deposit(user, 1000)
        order = book.buy(user, INFY, 1)
        if isinstance(order, SarasError):
            return
        book.fill(order, 1, 150_000)
        if number % 3:
            book.true_up(order)
            sale = book.sell(user, INFY, 1)
            if not isinstance(sale, SarasError):
                book.progress("CANCELLED", sale)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(trade, range(48)))
    book.check()


def test_a_day_has_its_limits_and_the_next_begins_at_nought(settings_of, manual_clock, book_over_settings):
    book = book_over_settings(settings_of(max_day_orders=3, max_day_rupees=4_000), manual_clock)
    user = book.user(rupees=100_000)
    assert [book.buy(user).status for _ in range(2)] == ["ACCEPTED", "ACCEPTED"]
    assert book.buy(user).code == "limit_breached"  # a third would make 4,500 rupees
    other = book.user(rupees=100_000)
    cheap = {"order_type": "LIMIT", "price": "750.00"}
    (outcome,) = book.place(request(other, cheap, cheap, cheap, cheap, atomic=True))
    assert outcome.error.code == "limit_breached"
    assert [book.buy(other, **cheap).status for _ in range(3)] == ["ACCEPTED"] * 3
    assert book.buy(other, **cheap).code == "limit_breached"
    manual_clock.advance(86_400)
    assert book.buy(user).status == book.buy(other).status == "ACCEPTED"
