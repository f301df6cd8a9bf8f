"""The feed of live streams: in the words of the API, each event once, in the order of commits, nobody else's."""

import random
import threading
import time
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from notification_service.consumer import feed_handler
from notification_service.domain.feed import FeedEntry, FeedKind
from notification_service.models import Base
from notification_service.store import feed
from notification_service.usecases.feed import FeedReader, prune_feed
from saras_common.auth import InternalTokens, service
from saras_common.consumer import Consumer
from saras_common.events import BasketRunChanged, RebalanceOffered, SipSkipped, pack
from saras_common.ids import new_id
from saras_common.testing.databases import assert_no_drift

LARGEST = 2**63 - 1


@pytest.fixture
def reader(desk):
    reader = FeedReader(desk.context.database)
    yield reader
    reader.close()


def record(desk, *events):
    with desk.context.database.for_service() as session:
        feed_handler()(session, list(events))


def ask(desk, path, **query):
    token = InternalTokens(b"internal-key-of-the-tests-32-bytes-long", desk.clock).mint(
        service(2.0**40), "notification-service"
    )
    answer = desk.client.get(path, params=query, headers={"X-Internal-Token": token})
    assert answer.status_code == 200, answer.text
    return answer.json()


def write(desk, user, *numbers):
    entries = [FeedEntry(user, FeedKind.ORDER, desk.clock.now(), {"number": number}) for number in numbers]
    with desk.context.database.for_service() as session:
        feed.add(session, entries)


def test_an_order_is_told_as_the_api_shows_it(desk):
    user = new_id()
    order = desk.order(user, quantity=3, filled_quantity=3, filled_value_paise=450_050, charges_paise=812)
    record(desk, order)
    [[position, owner, kind, at, data]] = ask(desk, "/internal/feed", after=0)["items"]
    assert (position, owner, kind) == (1, str(user), "order.updated")
    assert at == desk.clock.now().isoformat().replace("+00:00", "Z")
    assert data == {
        "id": str(order.order_id),
        "instrument": "NSE:INFY",
        "side": "BUY",
        "product": "CNC",
        "quantity": 3,
        "status": "FILLED",
        "status_reason": None,
        "filled_quantity": 3,
        "average_price": "1500.1667",
        "charges_total": "8.12",
        "basket_id": None,
        "batch_id": None,
    }


def test_funds_baskets_and_notifications_are_told_too(desk):
    user, now = new_id(), desk.clock.now()
    basket = {"at": now, "user_id": user, "smallcase_id": new_id(), "name": "IT leaders"}
    record(
        desk,
        desk.funds(user, -123_45),
        BasketRunChanged(run_id=new_id(), kind="invest", status="COMPLETED", spent_paise=50, **basket),
        RebalanceOffered(cause="drift", version=2, drift="0.051", **basket),
        SipSkipped(sip_id=new_id(), due_on=now.date(), reason="insufficient_funds", **basket),
    )
    desk.tell(desk.funds(user))
    told = {kind: data for _, _, kind, _, data in ask(desk, "/internal/feed", after=0)["items"]}
    assert told["funds.moved"]["amount"] == "-123.45"
    assert (told["basket.run_changed"]["status"], told["basket.run_changed"]["spent"]) == ("COMPLETED", "0.50")
    assert told["basket.rebalance_offered"]["drift"] == "0.051"
    assert told["basket.sip_skipped"]["due_on"] == "2026-03-02"
    [notification] = desk.inbox(user)
    assert told["notification"] == {"id": notification["id"], "kind": "funds", "count": 1}


def test_events_delivered_one_to_five_times_and_shuffled_stand_once(desk):
    chance = random.Random(5)
    users = [new_id() for _ in range(20)]
    events = [desk.order(chance.choice(users)) for _ in range(600)]
    deliveries = [message for event in events for message in list(pack([event])) * chance.randint(1, 5)]
    chance.shuffle(deliveries)
    consumer = Consumer(None, "notification-service.feed", desk.context.database, feed_handler())
    for start in range(0, len(deliveries), 50):
        consumer.deliver(deliveries[start : start + 50])
    items = ask(desk, "/internal/feed", after=0, limit=5000)["items"]
    assert sorted(data["id"] for *_, data in items) == sorted(str(event.order_id) for event in events)
    assert [item[0] for item in items] == sorted(item[0] for item in items)


def test_who_goes_on_from_the_last_position_misses_no_commit(desk, reader):
    """Eight writers whose transactions overlap; without the lock a late commit would land behind the reader."""
    writers, each = 8, 40
    user = new_id()

    def keep_writing(writer):
        chance = random.Random(writer)
        for number in range(each):
            with desk.context.database.for_service() as session:
                feed.add(session, [FeedEntry(user, FeedKind.ORDER, desk.clock.now(), {"of": [writer, number]})])
                time.sleep(chance.random() * 0.002)

    threads = [threading.Thread(target=keep_writing, args=(writer,)) for writer in range(writers)]
    for thread in threads:
        thread.start()
    position, seen = 0, []
    while len(seen) < writers * each:
        part = reader.after(position, limit=7, wait_s=5)
        assert part.rows, f"only {len(seen)} came"
        position = part.rows[-1][0]
        seen += part.rows
    for thread in threads:
        thread.join()
    assert len({row[0] for row in seen}) == writers * each
    assert reader.after(0, limit=1000, wait_s=0).rows[-1][0] == position


def test_a_waiting_reader_wakes_with_the_commit(desk, reader):
    user = new_id()
    threading.Timer(0.2, write, (desk, user, 1)).start()
    started = time.monotonic()
    assert len(reader.after(0, limit=10, wait_s=5).rows) == 1
    assert time.monotonic() - started < 2
    assert reader.after(1, limit=10, wait_s=0.05).rows == []


def test_closing_lets_waiting_readers_go(desk):
    reader = FeedReader(desk.context.database)
    threading.Timer(0.1, reader.close).start()
    started = time.monotonic()
    assert reader.after(0, limit=10, wait_s=10).rows == []
    assert time.monotonic() - started < 5


def test_a_user_s_part_holds_that_user_s_rows_alone(desk):
    one, other = new_id(), new_id()
    for number in range(10):
        write(desk, [one, other][number % 2], number)
    mine = ask(desk, f"/internal/feed/{one}", after=2, until=8, limit=2)
    assert [(item[0], item[1]) for item in mine["items"]] == [(3, str(one)), (5, str(one))]
    assert (mine["head"], mine["floor"]) == (10, 0)
    with desk.context.database.for_users(one) as session:
        assert set(session.scalars(text("SELECT user_id FROM feed"))) == {one}


def test_what_was_forgotten_shows(desk):
    user = new_id()
    write(desk, user, *range(3))
    desk.clock.advance(3 * 86400)
    write(desk, user, 3)
    assert prune_feed(desk.context.database, desk.clock.now() - timedelta(days=1)) == 3
    part = ask(desk, "/internal/feed", after=0)
    assert (part["head"], part["floor"], len(part["items"])) == (4, 3, 1)
    desk.clock.advance(3 * 86400)
    assert prune_feed(desk.context.database, desk.clock.now()) == 1
    assert ask(desk, "/internal/feed") == {"head": 4, "floor": 4, "items": []}


def test_only_the_platform_reads_the_feed(desk):
    for path in ("/internal/feed?after=0", f"/internal/feed/{UUID(int=1)}?after=0&until=1"):
        assert desk.client.get(path).status_code == 401
        assert desk.call("GET", path, new_id()).status_code == 403
        assert desk.call("GET", path, new_id(), roles=("user", "admin")).status_code == 403


def test_positions_out_of_range_are_refused(desk):
    token = InternalTokens(b"internal-key-of-the-tests-32-bytes-long", desk.clock).mint(
        service(2.0**40), "notification-service"
    )
    for query in (f"after={LARGEST + 1}", "after=-1", "after=x", "after=0&wait_s=11", "after=0&limit=0"):
        assert desk.client.get(f"/internal/feed?{query}", headers={"X-Internal-Token": token}).status_code == 422


def test_models_say_what_the_migrations_made(message_database):
    assert_no_drift(message_database.admin_url, "notification_service", Base.metadata)
