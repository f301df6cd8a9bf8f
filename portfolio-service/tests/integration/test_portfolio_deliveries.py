"""The same news twice, shuffled, cut off and after a restart: the same book."""

import random
import threading
import time
from uuid import UUID

import pytest

from portfolio_service.app import workers
from portfolio_service.consumer import book_handler
from portfolio_service.store.postings import find_owners
from portfolio_service.telemetry import BookMetrics
from portfolio_service.usecases import postings
from saras_common.bus import PostgresBus
from saras_common.consumer import Consumer
from saras_common.events import (
    BookTotalled,
    BookTotalsRequested,
    FundsMoved,
    OrderAccepted,
    OrderProgressed,
    UserChanged,
    pack,
)
from saras_common.ids import new_id
from saras_common.metrics import Metrics
from saras_common.partitions import PartitionedConsumer

INFY, TCS = "NSE:INFY", "NSE:TCS"
CHARGES = (0, 150, 5, 0, 22, 1, 0)
NO_CHARGES = (0,) * 7


def consumer_of(book, bus, handle=None):
    handler = handle or book_handler(book.clock, new_id, BookMetrics(Metrics()))
    return Consumer(bus, "portfolio-service", book.database, handler)


@pytest.fixture
def bus(book_database):
    made = PostgresBus(book_database.bus_url)
    yield made
    made.close()


def story(book):
    """News of a few blocks: partial fills, true-ups, a cancel, sells; without contradictions."""
    users = [book.user(rupees=50_000) for _ in range(4)]
    seller = book.holder(INFY, 10)
    buys = [book.buy(user, INFY, 3) for user in users]
    others = [book.buy(user, TCS, 2) for user in users]
    sale = book.sell(seller, INFY, 6)
    block, second, third = UUID(int=1), UUID(int=2), UUID(int=3)
    at = book.clock.now()
    return [
        OrderProgressed(at=at, order_ids=[UUID(order.id) for order in buys + others], status="QUEUED"),
        OrderProgressed(at=at, order_ids=[UUID(order.id) for order in buys], status="WORKING"),
        book.posting("fill", [(order, 1, 150_000, CHARGES) for order in buys], block_id=block),
        book.posting("fill", [(order, 2, 300_400, NO_CHARGES) for order in buys], block_id=block),
        book.posting("true_up", [(order, 0, -37, (0, 1, 0, 0, 0, 0, 0)) for order in buys], block_id=block),
        book.posting("fill", [(others[0], 1, 350_000, CHARGES)], block_id=second, suspense_quantity=1,
                     suspense_value_paise=350_000),
        book.posting("true_up", [(order, 0, 0, NO_CHARGES) for order in others], block_id=second),
        OrderProgressed(at=at, order_ids=[UUID(order.id) for order in others], status="EXPIRED"),
        book.posting("fill", [(sale, 4, 620_000, CHARGES)], block_id=third),
        book.posting("fill", [(sale, 2, 310_000, NO_CHARGES)], block_id=third),
        book.posting("true_up", [(sale, 0, 11, NO_CHARGES)], block_id=third),
    ]  # fmt: skip


def test_repeated_and_shuffled_deliveries_make_the_same_book(book, bus, dice):
    news = story(book)
    consumer = consumer_of(book, bus)
    deliveries = [message for event in news for message in pack([event])]
    copies = deliveries * 3
    dice.shuffle(copies)
    cuts = sorted(dice.sample(range(1, len(copies)), 9))
    for start, end in zip([0, *cuts], [*cuts, len(copies)], strict=True):
        consumer.deliver(copies[start:end])
    assert (consumer.applied, consumer.parked) == (len(news), 0)
    shuffled = book.snapshot()
    consumer.deliver(deliveries)
    assert book.snapshot() == shuffled
    book.check()
    balances = {row[:3]: row[3] for row in next(iter(shuffled.values()))}
    assert sum(amount for (_, account, asset), amount in balances.items() if account == "held") == 0
    assert not any(account == "securities_held" for _, account, _ in balances)
    for row in book.rows("SELECT filled_quantity, quantity, status, hold_paise, hold_quantity FROM orders"):
        assert (row.status == "FILLED") == (row.filled_quantity == row.quantity)
        assert row.hold_paise == row.hold_quantity == 0
    assert book.scalar("SELECT sum(open_orders) FROM clients") == 0


def test_in_order_and_shuffled_agree_to_the_paisa(book, dice):
    """Two users with the same orders; one hears the news in order, the other shuffled and event by event."""
    results = []
    for shuffled in (False, True):
        user = book.user(rupees=50_000)
        order = book.buy(user, INFY, 3)
        news = [
            OrderProgressed(at=book.clock.now(), order_ids=[UUID(order.id)], status="WORKING"),
            book.posting("fill", [(order, 1, 150_000, CHARGES)]),
            book.posting("fill", [(order, 2, 301_000, CHARGES)]),
            book.posting("true_up", [(order, 0, -90, NO_CHARGES)]),
        ]
        if shuffled:
            dice.shuffle(news)
            for event in news:
                book.tell(event)
        else:
            book.tell(*news)
        stored, position = book.stored(order), book.position(user)
        results.append(
            (
                stored.status, stored.filled_paise, stored.charges, stored.hold_paise,
                position.quantity, position.cost_paise, position.realised_paise,
                [book.balance(user, account) for account in ("cash", "held")],
            )
        )  # fmt: skip
    assert results[0] == results[1]


def same_story(book, dice):
    """A holder who buys and sells on one shelf: news that meets the same order, position and lots again and again."""
    user = book.holder(INFY, 9, rupees=90_000)
    orders = [book.buy(user, INFY, 5), book.buy(user, INFY, 4), book.sell(user, INFY, 6), book.sell(user, INFY, 3)]
    left = {order.id: order.quantity for order in orders}
    news = [OrderProgressed(at=book.clock.now(), order_ids=[UUID(order.id) for order in orders], status="WORKING")]
    while any(left.values()):
        order = dice.choice([order for order in orders if left[order.id]])
        quantity = dice.randint(1, left[order.id])
        left[order.id] -= quantity
        news.append(book.posting("fill", [(order, quantity, quantity * dice.randint(149_000, 151_000), CHARGES)]))
        if left[order.id] and dice.random() < 0.3:  # an order that is full has ended
            news.append(book.posting("bust", [(order, -1, -150_000, NO_CHARGES)]))
            left[order.id] += 1
    news += [book.posting("true_up", [(order, 0, dice.randint(-90, 90), NO_CHARGES)]) for order in orders]
    return user, orders, news


@pytest.mark.parametrize("seed", range(12))
def test_parts_of_a_delivery_meet_what_the_part_before_left(book, seed, monkeypatch):
    """Each event a part of one delivery, or each a transaction of its own: the same to the paisa, lots and all."""
    results = []
    for together in (False, True):
        monkeypatch.setattr(postings, "MAX_PIECES", 1)
        user, orders, news = same_story(book, random.Random(seed))
        if together:
            book.tell(*news)
        else:
            for event in news:
                book.tell(event)
        position = book.position(user)
        lots = book.rows(
            "SELECT quantity, remaining, cost_paise FROM lots WHERE user_id = :u ORDER BY order_id", u=user
        )
        stored = [book.stored(order) for order in orders]
        results.append(
            (
                [(one.status, one.filled_quantity, one.filled_paise, one.charges, one.hold_paise) for one in stored],
                [[note[1] for note in one.timeline] for one in stored],
                position.quantity, position.reserved, position.cost_paise, position.realised_paise,
                position.fifo_realised_paise, position.charges_paise, position.day_bought_paise,
                [tuple(lot) for lot in lots],
                [book.balance(user, account) for account in ("cash", "held")],
            )
        )  # fmt: skip
    assert results[0] == results[1]
    book.check()


def test_a_posting_that_cannot_be_applied_is_parked_and_its_neighbours_are_applied(book, bus):
    user = book.user(rupees=10_000)
    good, bad, last = (book.buy(user, INFY, 1) for _ in range(3))
    handle = book_handler(book.clock, new_id, BookMetrics(Metrics()))

    def failing(session, events):
        handle(session, events)
        if any(str(part.order_id) == bad.id for event in events for part in getattr(event, "allocations", [])):
            raise ValueError("poison")

    consumer = consumer_of(book, bus, failing)
    news = [book.posting("fill", [(order, 1, 150_000, NO_CHARGES)]) for order in (good, bad, last)]
    consumer.deliver([message for event in news for message in pack([event])])
    assert consumer.parked == 1
    assert [book.stored(order).status for order in (good, bad, last)] == ["FILLED", "ACCEPTED", "FILLED"]
    with book.database.for_service() as session:
        (parked,) = consumer.inbox.list_parked(session)
        consumer.inbox.take_parked(session, parked.event.id)
        handle(session, [parked.event])
    assert book.stored(bad).status == "FILLED"
    book.check()


def test_a_crash_before_the_commit_leaves_nothing_behind(book, bus):
    order = book.buy(book.user(rupees=10_000), INFY, 1)
    handle = book_handler(book.clock, new_id, BookMetrics(Metrics()))
    before = book.snapshot()
    news = list(pack([book.posting("fill", [(order, 1, 150_000, NO_CHARGES)])]))

    def killed(session, events):
        handle(session, events)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        consumer_of(book, bus, killed).deliver(news)
    assert book.snapshot() == before
    consumer_of(book, bus).deliver(news)
    assert book.stored(order).status == "FILLED"


def test_the_workers_carry_events_both_ways_and_start_again(book, book_database, bus, settings_of):
    order = book.buy(book.user(rupees=10_000), INFY, 1)
    newcomer = new_id()
    bus.publish(
        list(
            pack(
                [
                    UserChanged(
                        at=book.clock.now(), user_id=newcomer, version=1, email="a@b.c", full_name="A",
                        status="active", roles=["user"], kyc_status="approved",
                    ),
                    book.posting("fill", [(order, 1, 150_000, NO_CHARGES)]),
                    BookTotalsRequested(at=book.clock.now(), reconciliation_id=UUID(int=9), account_id="main"),
                ]
            )
        )
    )  # fmt: skip
    for _ in range(2):
        stop = threading.Event()
        threads = [
            threading.Thread(target=worker.run, args=(stop,)) for worker in workers(settings_of(), clock=book.clock)
        ]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and (
            book.stored(order).status != "FILLED"
            or not book.told(BookTotalled)
            or book.scalar("SELECT count(*) FROM outbox WHERE published_at IS NULL")
        ):
            time.sleep(0.05)
        stop.set()
        for thread in threads:
            thread.join(10)
            assert not thread.is_alive()
    assert book.stored(order).status == "FILLED"
    assert book.scalar("SELECT kyc_status FROM clients WHERE user_id = :u", u=newcomer) == "approved"
    totals = book.told(BookTotalled)[0]
    assert totals.users == totals.applied, "one snapshot, before the fill or after it"
    assert bus.depth("portfolio-service") == bus.depth("portfolio-service.totals") == 0
    waiting = bus.depth("trade-executor")
    assert waiting > 0, "orders, deposits and totals wait for the executor"
    assert {OrderAccepted.type, FundsMoved.type, BookTotalled.type} <= {
        row[0] for row in book.rows("SELECT type FROM outbox WHERE published_at IS NOT NULL")
    }
    book.check()


def test_a_book_in_partitions_is_the_same_book(book, bus):
    """Blocks of many users reach the consumers user by user; so do orders that moved, which name no user."""
    told = [story(book), story(book)]
    for news in told[0]:
        book.tell(news)
    plain = book.snapshot()
    bus.publish([message for event in told[1] for message in pack([event])])

    def feed(source, batch):
        handler = book_handler(book.clock, new_id, BookMetrics(Metrics()), source)
        return Consumer(bus, "portfolio-service", book.database, handler, source=source, batch=batch)

    stop = threading.Event()
    shared = PartitionedConsumer(
        bus, "portfolio-service", book.database, feed, count=3, batch=4, find_owners=find_owners
    )
    thread = threading.Thread(target=shared.run, args=(stop,))
    thread.start()
    try:
        deadline = time.monotonic() + 30
        while book.scalar("SELECT count(*) FROM orders WHERE hold_paise > 0 OR hold_quantity > 0"):
            assert time.monotonic() < deadline, "the partitions do not work it off"
            time.sleep(0.02)
        while not all(bus.is_idle(queue) for queue in ("portfolio-service", *bus.partition("portfolio-service", 3))):
            assert time.monotonic() < deadline, "the partitions do not come to an end"
            time.sleep(0.02)
    finally:
        stop.set()
        thread.join(30)
    book.check()
    assert book.snapshot() != plain
    orders = book.rows(
        "SELECT status, quantity, filled_quantity, filled_paise, charges, hold_paise, hold_quantity FROM orders"
        " ORDER BY created_at, id"
    )
    half = len(orders) // 2
    assert sorted(orders[:half]) == sorted(orders[half:])
    house = book.rows(
        "SELECT account, asset, sum(amount) FROM balances WHERE owner_id = '00000000-0000-0000-0000-000000000000'"
        " AND account <> 'external' GROUP BY 1, 2"
    )
    assert house
    assert all(row.sum % 2 == 0 for row in house), "the second half of the book is not the first's like"
