"""Ten thousand events, each delivered one to five times, shuffled: one message each, one webhook key each."""

import json
import random

import pytest

from notification_service.consumer import news_handler
from saras_common.consumer import Consumer
from saras_common.events import pack

EVENTS = 10_000
HOOKED = 400
USERS = 50


@pytest.mark.slow
def test_ten_thousand_events_are_ten_thousand_messages(open_desk, receiver):
    desk = open_desk(smtp_host=None, settle_s=0)
    rng = random.Random(20)
    users = [desk.person() for _ in range(USERS)]
    hooked = users[0]
    desk.hook(hooked, receiver.url)
    plain = users[1:]
    events = [desk.funds(hooked if n < HOOKED else rng.choice(plain), n + 1) for n in range(EVENTS)]
    rng.shuffle(events)
    messages, taken = [], 0
    while taken < EVENTS:
        count = rng.randint(1, 60)
        messages += pack(events[taken : taken + count])
        taken += count
    deliveries = [message for message in messages for _ in range(rng.randint(1, 5))]
    rng.shuffle(deliveries)
    consumers = [
        Consumer(None, "notification-service", desk.context.database, news_handler(desk.context)) for _ in range(2)
    ]
    for start in range(0, len(deliveries), 16):
        rng.choice(consumers).deliver(deliveries[start : start + 16])
    with desk.context.database.for_service() as session:
        rows = session.connection().exec_driver_sql("SELECT count(*), count(DISTINCT source) FROM notifications").one()
    assert tuple(rows) == (EVENTS, EVENTS)
    while desk.send_due():
        pass
    keys = [request.headers["Idempotency-Key"] for request in receiver.received]
    sources = [json.loads(request.body)["notification_id"] for request in receiver.received]
    inbox = desk.inbox(hooked, "?limit=500")
    assert len(keys) == len(set(keys)) == len(set(sources)) == len(inbox) == HOOKED
