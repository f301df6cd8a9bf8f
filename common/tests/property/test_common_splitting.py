"""What is taken apart by user is all there, once, in order, and taken apart the same way again."""

from collections import defaultdict
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saras_common.events import (
    Allocation,
    AllocationPosted,
    FundsMoved,
    InstrumentsBlocked,
    Message,
    OrderProgressed,
    pack,
    unpack,
)
from saras_common.events.splitting import BUCKETS, MAX_PART_BYTES, Split, bucket_of, orders_in, part_id, rows_of

AT = datetime(2026, 3, 2, tzinfo=UTC)
NO_CHARGES = (0, 0, 0, 0, 0, 0, 0)
users = st.integers(1, 200).map(lambda number: UUID(int=number))


@st.composite
def postings(draw):
    shares = [
        Allocation(order_id=uuid4(), user_id=user, quantity=number, value_paise=10 * number, charges=NO_CHARGES)
        for number, user in enumerate(draw(st.lists(users, max_size=30)))
    ]
    suspense = draw(st.tuples(st.integers(-5, 5), st.integers(-500, 500), st.integers(0, 5)))
    return AllocationPosted(
        at=AT, account_id=draw(st.sampled_from(["main", "other"])), batch_id=uuid4(), block_id=uuid4(),
        instrument="NSE:A", side="BUY", product="CNC", kind="fill", traded_at=AT, allocations=shares,
        suspense_quantity=suspense[0], suspense_value_paise=suspense[1], suspense_charges_paise=suspense[2],
    )  # fmt: skip


moved = st.builds(
    lambda user: FundsMoved(at=AT, movement_id=uuid4(), user_id=user, account_id="main", amount_paise=1), users
)
progressed = st.lists(users, min_size=1, max_size=20).map(
    lambda owners: OrderProgressed(at=AT, order_ids=[UUID(int=user.int << 64 | 1) for user in owners], status="WORKING")
)
blocked = st.builds(
    lambda account: InstrumentsBlocked(at=AT, account_id=account, instruments=["NSE:A"], blocked=True),
    st.sampled_from(["main", "other"]),
)


def split(events, count=BUCKETS):
    """(partition, event) of every part, in order."""
    done = Split(count)
    for message in pack(events):
        rows = rows_of(message)
        owners = {order: str(UUID(int=UUID(order).int >> 64)) for order in orders_in(message.type, rows)}
        for row in rows:
            done.add(message.type, row, owners)
    return [(number, event) for number, message in done.messages() for event in unpack(message)]


def pieces(event):
    """What an event says of whom: (key, thing), and what it says of nobody."""
    if isinstance(event, AllocationPosted):
        return [(str(part.user_id), part) for part in event.allocations]
    if isinstance(event, OrderProgressed):
        return [(str(UUID(int=order.int >> 64)), order) for order in event.order_ids]
    key = event.user_id if isinstance(event, FundsMoved) else event.account_id
    return [(str(key), event)]


@settings(deadline=None)
@given(st.lists(st.one_of(postings(), moved, progressed, blocked), max_size=40), st.integers(1, 16))
def test_everybody_gets_the_same_in_the_same_order(events, count):
    parts = split(events, count)
    for number, event in parts:
        assert {bucket_of(key) % count for key, _ in pieces(event)} <= {number}
    said, heard = defaultdict(list), defaultdict(list)
    for event in events:
        for key, thing in pieces(event):
            said[key].append(thing)
    for _, event in parts:
        for key, thing in pieces(event):
            heard[key].append(thing)
    assert heard == said
    assert len({event.id for _, event in parts}) == len(parts)
    assert parts == split(events, count)
    assert {event.id for _, event in parts} == {event.id for _, event in split(events)}


@settings(deadline=None)
@given(st.lists(postings(), max_size=10))
def test_what_belongs_to_nobody_is_told_once(events):
    parts = [event for _, event in split(events)]
    for name in ("suspense_quantity", "suspense_value_paise", "suspense_charges_paise"):
        assert sum(getattr(event, name) for event in parts) == sum(getattr(event, name) for event in events)
    assert {event.block_id for event in parts} == {event.block_id for event in events}


@given(st.uuids(version=4), st.integers(0, BUCKETS - 1))
def test_a_parts_id_is_as_old_as_its_event(event_id, bucket):
    assert part_id(event_id, bucket).int >> 64 == event_id.int >> 64
    assert part_id(event_id, bucket) == part_id(event_id, bucket)


def test_packets_stay_small():
    events = [
        OrderProgressed(at=AT, order_ids=[UUID(int=7 << 64 | number) for number in range(900)], status="WORKING")
        for _ in range(60)
    ]
    done = Split(4)
    for message in pack(events):
        for row in rows_of(message):
            done.add(message.type, row, dict.fromkeys(orders_in(message.type, [row]), "one"))
    messages = [message for _, message in done.messages()]
    assert len(messages) > 1
    assert sum(message.count for message in messages) == 60
    assert all(len(message.body) <= MAX_PART_BYTES + 100_000 for message in messages)


@pytest.mark.parametrize("body", [b"{}", b"[1]", b"nothing", b'[{"id": "x"}]', b'[{"allocations": [{}]}]'])
def test_a_body_that_cannot_be_divided_is_its_messages_fault(body):
    def divide():
        for row in rows_of(Message(uuid4(), AllocationPosted.type, body, 1)):
            Split(4).add(AllocationPosted.type, row, {})

    with pytest.raises(ValueError):
        divide()
