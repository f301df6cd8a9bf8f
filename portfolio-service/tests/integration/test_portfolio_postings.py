"""From the executor's news to cash, shares, cost and states."""

from datetime import timedelta
from uuid import UUID

import pytest

from portfolio_service.domain.ledger import HOUSE
from saras_common.events import (
    BookTotalled,
    BookTotalsRequested,
    FundsMoved,
    OrderAccepted,
    SuspenseFound,
)
from saras_common.ids import new_id

INFY, TCS = "NSE:INFY", "NSE:TCS"
NOBODY = UUID(HOUSE)
CHARGES = (0, 150, 5, 0, 22, 1, 0)


def test_a_deposit_and_a_market_buy_hold_cash_up_to_the_cap(book):
    user = book.user(rupees=10_000)
    order = book.buy(user, INFY, 2)
    assert order.status == "ACCEPTED"
    hold = 10_000_00 - book.balance(user, "cash")
    assert hold == book.balance(user, "held") == book.stored(order).hold_paise
    # 2 x 1500.00 + 3 % and charges of a little over 0.1 %
    assert 309_000 < hold < 309_500
    (accepted,) = book.told(OrderAccepted)
    assert (str(accepted.order_id), accepted.cap_price_paise, accepted.account_id) == (order.id, 154_500, "main")
    assert [moved.amount_paise for moved in book.told(FundsMoved)] == [10_000_00]
    book.check()


def test_fill_and_true_up_settle_cash_shares_and_cost(book):
    user = book.user(rupees=10_000)
    order = book.buy(user, INFY, 2)
    book.fill(order, 1, 150_000)
    assert book.stored(order).status == "PARTIALLY_FILLED"
    book.fill(order, 1, 150_100)
    stored = book.stored(order)
    assert (stored.status, stored.filled_quantity) == ("FILLED", 2)
    assert stored.hold_paise > 0, "kept until the block is trued up"
    book.true_up(order, -50, CHARGES)
    stored = book.stored(order)
    assert (stored.filled_paise, list(stored.charges), stored.hold_paise) == (300_050, list(CHARGES), 0)
    assert book.balance(user, "held") == 0
    assert book.balance(user, "cash") == 10_000_00 - 300_050 - sum(CHARGES)
    assert book.balance(user, "securities", f"{INFY}|CNC") == 2
    assert book.position(user).cost_paise == 300_050
    assert [note[1] for note in stored.timeline] == ["PARTIALLY_FILLED", "FILLED"]
    book.check()


def test_a_sale_brings_its_proceeds_less_charges(book):
    user = book.holder(INFY, 10, 150_000)
    order = book.sell(user, INFY, 4)
    assert book.balance(user, "securities_held", f"{INFY}|CNC") == 4
    book.fill(order, 4, 640_000, CHARGES)
    book.true_up(order)
    assert book.balance(user, "cash") == 640_000 - sum(CHARGES)
    position = book.position(user)
    assert (position.quantity, position.reserved, position.cost_paise) == (6, 0, 900_000)
    assert (position.realised_paise, position.fifo_realised_paise) == (40_000, 40_000)
    book.check()


def test_average_and_fifo_differ_as_they_should(book):
    # algorithms.md §7 in the database: 4383.74 by average, 4400.74 by FIFO
    user = book.user(rupees=100_000)
    for quantity, value in ((109, 314_920), (52, 168_492)):
        order = book.buy(user, "NSE:WIPRO", quantity)
        book.fill(order, quantity, value)
        book.true_up(order)
        book.clock.advance(1)
    order = book.sell(user, "NSE:WIPRO", 15)
    book.fill(order, 15, 50_000)
    assert book.position(user).cost_paise == 438_374
    assert book.scalar("SELECT sum(cost_paise) FROM lots WHERE is_open") == 440_074
    assert book.scalar("SELECT count(*) FROM lots") == 2
    book.check()


def test_a_cancelled_order_keeps_its_fills_and_releases_the_rest(book):
    user = book.user(rupees=10_000)
    order = book.buy(user, INFY, 3)
    book.fill(order, 1, 150_000)
    book.true_up(order)
    book.progress("CANCELLED", order, reason="cancelled by the user")
    stored = book.stored(order)
    assert (stored.status, stored.filled_quantity, stored.hold_paise) == ("CANCELLED", 1, 0)
    assert stored.status_reason == "cancelled by the user"
    assert book.balance(user, "cash") == 10_000_00 - 150_000
    assert book.scalar("SELECT open_orders FROM clients WHERE user_id = :u", u=user) == 0
    book.check()


def test_a_fill_after_the_cancel_is_posted_and_the_state_stays(book):
    user = book.user(rupees=10_000)
    order = book.buy(user, INFY, 2)
    book.progress("CANCELLED", order)
    book.fill(order, 2, 300_000)
    stored = book.stored(order)
    assert (stored.status, stored.filled_quantity) == ("CANCELLED", 2)
    assert book.balance(user, "cash") == 10_000_00 - 300_000
    assert book.balance(user, "securities", f"{INFY}|CNC") == 2
    book.check()


def test_late_news_moves_no_order_back(book):
    user = book.user(rupees=10_000)
    order = book.buy(user)
    book.progress("WORKING", order)
    book.progress("QUEUED", order)
    assert book.stored(order).status == "WORKING"
    book.fill(order, 1, 150_000)
    book.progress("WORKING", order)
    book.progress("REJECTED", order)
    assert book.stored(order).status == "FILLED"
    assert [note[1] for note in book.stored(order).timeline] == ["WORKING", "FILLED"]


def test_a_fill_dearer_than_the_hold_takes_cash_and_then_suspense(book):
    user = book.user(rupees=1_560)
    order = book.buy(user, INFY, 1)
    cash = book.balance(user, "cash")
    assert 0 < cash < 2_000, "nearly all is held"
    book.fill(order, 1, 160_000)
    assert book.balance(user, "cash") == book.balance(user, "held") == 0
    assert book.balance(NOBODY, "suspense") == -(160_000 - 156_000)
    assert book.balance(user, "securities", f"{INFY}|CNC") == 1
    assert "saras_book_shortfall_paise_total 4000.0" in book.metrics.render().decode()
    book.check()


def test_a_refund_goes_back_under_the_hold_of_an_open_order(book):
    user = book.user(rupees=10_000)
    order = book.buy(user, INFY, 2)
    book.fill(order, 1, 154_000)
    before = book.balance(user, "cash")
    book.true_up(order, -4_000)
    assert book.balance(user, "cash") == before
    book.fill(order, 1, 154_000)
    book.true_up(order)
    assert book.balance(user, "cash") == 10_000_00 - 304_000
    book.check()


def test_a_sale_whose_charges_exceed_its_value_takes_cash(book):
    user = book.holder("NSE:WIPRO", 1, 25_000, rupees=100)
    order = book.sell(user, "NSE:WIPRO", 1)
    book.fill(order, 1, 1_000, (0, 1, 0, 0, 0, 0, 1534))
    assert book.balance(user, "cash") == 10_000 + 1_000 - 1_535
    book.check()


def test_a_bust_takes_shares_and_money_back(book):
    user = book.user(rupees=10_000)
    order = book.buy(user, INFY, 2)
    book.fill(order, 2, 300_000, CHARGES)
    book.true_up(order)
    book.bust(order, 1, 150_000, (0, 75, 2, 0, 11, 0, 0))
    stored = book.stored(order)
    assert (stored.status, stored.filled_quantity, stored.filled_paise) == ("FILLED", 1, 150_000)
    assert book.balance(user, "securities", f"{INFY}|CNC") == 1
    assert book.balance(user, "cash") == 10_000_00 - 150_000 - sum(CHARGES) + 88
    assert (book.position(user).quantity, book.position(user).cost_paise) == (1, 150_000)
    book.check()


def test_a_bust_of_shares_already_sold_is_owed_by_suspense(book):
    user = book.user(rupees=10_000)
    bought = book.buy(user, INFY, 2)
    book.fill(bought, 2, 300_000)
    book.true_up(bought)
    sold = book.sell(user, INFY, 2)
    book.fill(sold, 2, 320_000)
    cash = book.balance(user, "cash")
    book.bust(bought, 1, 150_000)
    assert book.balance(NOBODY, "suspense", f"{INFY}|CNC") == -1
    assert book.balance(NOBODY, "suspense") == 150_000
    assert book.balance(user, "cash") == cash
    book.check()


def test_a_bust_of_a_sale_brings_the_shares_back(book):
    user = book.holder(INFY, 2, 150_000)
    order = book.sell(user, INFY, 2)
    book.fill(order, 2, 320_000)
    book.bust(order, 1, 160_000)
    assert book.balance(user, "securities", f"{INFY}|CNC") == 1
    assert book.balance(user, "cash") == 160_000
    assert book.position(user).quantity == 1
    book.check()


def test_a_posting_nobody_ordered_goes_to_suspense(book):
    user = book.user(rupees=10_000)
    known = book.buy(user, INFY, 1)
    stranger = known._replace(id=str(new_id()))
    book.tell(book.posting("fill", [(known, 1, 150_000, CHARGES), (stranger, 3, 450_000, CHARGES)]))
    assert book.stored(known).status == "FILLED"
    assert book.balance(NOBODY, "suspense", f"{INFY}|CNC") == 3
    assert book.balance(NOBODY, "suspense") == -450_000 - sum(CHARGES)
    assert "saras_book_unclaimed_total 1.0" in book.metrics.render().decode()
    book.check()


@pytest.mark.parametrize("change", [{"instrument": TCS}, {"side": "SELL"}, {"product": "MIS"}, {"account_id": "other"}])
def test_a_posting_that_does_not_fit_its_order_goes_to_suspense(book, change):
    order = book.buy(book.user(rupees=10_000), INFY, 1)
    book.tell(book.posting("fill", [(order, 1, 150_000, CHARGES)], **change))
    assert book.stored(order).filled_quantity == 0
    assert book.scalar("SELECT count(*) FROM balances WHERE account = 'suspense'") == 2
    book.check()


def test_no_order_is_filled_beyond_its_quantity(book):
    order = book.buy(book.user(rupees=10_000), INFY, 1)
    book.fill(order, 2, 300_000)
    assert book.stored(order).filled_quantity == 0
    assert book.balance(NOBODY, "suspense", f"{INFY}|CNC") == 2


def test_the_parts_of_a_posting_that_belong_to_no_order(book):
    order = book.buy(book.user(rupees=10_000), INFY, 1)
    book.tell(
        book.posting(
            "fill",
            [(order, 1, 150_000, CHARGES)],
            suspense_quantity=2,
            suspense_value_paise=300_001,
            suspense_charges_paise=9,
        )
    )
    assert book.balance(NOBODY, "suspense", f"{INFY}|CNC") == 2
    assert book.balance(NOBODY, "suspense") == -300_010
    assert book.balance(NOBODY, "broker", f"{INFY}|CNC") == -3
    book.check()


def test_found_shares_wait_in_suspense(book):
    found = {"at": book.clock.now(), "account_id": "main", "instrument": INFY, "reason": "a manual trade"}
    book.tell(SuspenseFound(**found, quantity=5, value_paise=750_000, charges_paise=100))
    book.tell(SuspenseFound(**found, quantity=-2, value_paise=-300_000))
    assert book.balance(NOBODY, "suspense", f"{INFY}|CNC") == 3
    assert book.balance(NOBODY, "suspense") == -450_100
    book.check()


def test_the_books_totals_answer_a_reconciliation(book):
    user = book.user(rupees=10_000)
    order = book.buy(user, INFY, 2)
    book.tell(
        book.posting("fill", [(order, 2, 300_000, CHARGES)], suspense_quantity=1, suspense_value_paise=150_000),
        BookTotalsRequested(at=book.clock.now(), reconciliation_id=UUID(int=5), account_id="main"),
    )
    (totals,) = book.told(BookTotalled)
    assert totals.reconciliation_id == UUID(int=5)
    assert (totals.users, totals.suspense, totals.applied) == ({INFY: 2}, {INFY: 1}, {INFY: 3})
    assert totals.external_cash_paise == 10_000_00
    assert totals.applied_cash_paise == -450_000 - sum(CHARGES)
    assert totals.suspense_cash_paise == -150_000
    assert (
        totals.users_cash_paise + totals.suspense_cash_paise == totals.external_cash_paise + totals.applied_cash_paise
    )


def test_a_sell_true_up_and_a_true_up_of_shares_partly_sold(book):
    user = book.user(rupees=10_000)
    bought = book.buy(user, INFY, 4)
    book.fill(bought, 4, 600_000)
    sold = book.sell(user, INFY, 3)
    book.fill(sold, 3, 480_000)
    book.true_up(sold, 30)
    book.true_up(bought, 10)
    position = book.position(user)
    assert position.cost_paise == 150_000 + 3
    assert position.realised_paise == 480_000 - 450_000 + 30 - 7
    assert position.fifo_realised_paise == position.realised_paise
    assert book.balance(user, "cash") == 10_000_00 - 600_010 + 480_030
    book.check()


def test_a_true_up_that_comes_before_the_last_fill_still_ends_the_hold(book):
    user = book.user(rupees=10_000)
    order = book.buy(user, INFY, 2)
    book.fill(order, 1, 150_000)
    book.true_up(order)
    book.fill(order, 1, 150_000)
    assert book.stored(order).hold_paise == 0
    assert book.balance(user, "cash") == 10_000_00 - 300_000


def test_the_days_turnover_starts_anew(book):
    user = book.holder(INFY, 4, 150_000)
    assert book.position(user).day_bought == 4
    book.clock.advance(timedelta(days=1).total_seconds())
    order = book.sell(user, INFY, 1)
    book.fill(order, 1, 160_000)
    position = book.position(user)
    assert (position.day_bought, position.day_sold, position.day_sold_paise) == (0, 1, 160_000)


def test_several_orders_of_one_user_in_one_posting(book):
    user = book.user(rupees=100_000)
    orders = [book.buy(user, INFY, 2) for _ in range(3)]
    book.tell(book.posting("fill", [(order, 2, 300_000, CHARGES) for order in orders]))
    book.tell(book.posting("true_up", [(order, 0, 0, (0,) * 7) for order in orders]))
    assert book.position(user).quantity == 6
    assert book.scalar("SELECT count(*) FROM lots") == 3
    assert book.balance(user, "held") == 0
    book.check()
