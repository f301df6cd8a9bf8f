from saras.demo.market import paise
from saras.demo.oracle import broker_totals, largest_remainder, user_books

AT = "2026-11-20T05:00:00Z"


def item(event, order_id, side="BUY", quantity=100, price="1500.00", trade=None, tag="t1", product="CNC"):
    return {
        "seq": 1,
        "at": AT,
        "event": event,
        "order_id": order_id,
        "tag": tag,
        "exchange": "NSE",
        "tradingsymbol": "INFY",
        "transaction_type": side,
        "product": product,
        "quantity": quantity,
        "price": price,
        "trade_id": trade,
    }


def test_the_published_oracles_come_out():
    journal = [
        item("order_accepted", "1"),
        item("fill", "1", quantity=40, trade="a"),
        item("fill", "1", quantity=60, trade="b"),
        item("order_accepted", "2", tag="t2", side="SELL"),
        item("fill", "2", side="SELL", price="1600.00", trade="c"),
    ]
    totals = broker_totals(journal)
    # 178.1109 for the buy, 165.98496 + 15.34 for the sell (algorithms.md, 4)
    assert totals.charges_paise == 17811 + 16598 + 1534
    assert totals.cash_paise == -15_000_000 + 16_000_000 - totals.charges_paise
    assert totals.net() == {}
    assert (totals.bought["NSE:INFY"], totals.sold["NSE:INFY"]) == (100, 100)
    assert totals.orders == 2
    assert totals.repeated_tags == totals.repeated_trades == []


def test_the_depository_is_paid_once_a_day_and_not_for_intraday():
    sells = [item("fill", str(n), side="SELL", trade=str(n), tag=str(n)) for n in range(3)]
    one = broker_totals(sells[:1]).charges_paise
    assert broker_totals(sells).charges_paise == 3 * one - 2 * 1534
    intraday = [item("fill", "1", side="SELL", trade="1", product="MIS")]
    assert broker_totals(intraday).charges_paise < one - 1534


def test_what_was_sent_twice_shows():
    journal = [item("order_accepted", "1"), item("order_accepted", "2"), *[item("fill", "1", trade="x")] * 2]
    totals = broker_totals(journal)
    assert totals.repeated_tags == ["t1"]
    assert totals.repeated_trades == ["x"]


def test_rupees_become_paise():
    assert [paise(text) for text in ("0.05", "12", "12.5", "-3.07", "1523.40")] == [5, 1200, 1250, -307, 152340]


def test_users_share_one_price_to_the_paisa():
    journal = [
        item("order_accepted", "1"),
        item("fill", "1", quantity=5, price="100.01", trade="a"),
        item("fill", "1", quantity=2, price="100.02", trade="b"),
    ]
    allocations = [{"user_id": user, "allocated": got} for user, got in (("u", 3), ("v", 3), ("w", 1), ("x", 0))]
    block = {"instrument": "NSE:INFY", "broker_order_ids": ["1"], "allocations": allocations}
    books = user_books(journal, [{"blocks": [block]}])
    totals = broker_totals(journal)
    assert sum(book.cash_paise for book in books.values()) == totals.cash_paise
    assert sum(book.charges_paise for book in books.values()) == totals.charges_paise
    assert [books[user].shares["NSE:INFY"] for user in "uvwx"] == [3, 3, 1, 0]
    assert books["x"].cash_paise == 0
    # 70009 paise over 7: 30003.857, 30003.857, 10001.286
    spent = [-book.cash_paise - book.charges_paise for book in books.values()]
    assert spent == [30004, 30004, 10001, 0]


def test_largest_remainder_gives_everything_away():
    assert largest_remainder(10, [1, 1, 1]) == [4, 3, 3]
    assert largest_remainder(-10, [1, 1, 1]) == [-3, -3, -4]
    assert largest_remainder(5, [0, 0]) == [0, 0]
