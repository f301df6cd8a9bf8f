from datetime import UTC, datetime
from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from saras_common.events import CancelRequested, Message, pack, unpack
from saras_common.outbox import MAX_PACKET_BYTES, _joined

AT = datetime(2026, 3, 2, tzinfo=UTC)


def test_single_orders_share_a_packet():
    cancels = [CancelRequested(at=AT, order_id=uuid4(), account_id="main") for _ in range(2500)]
    messages = [message for event in cancels for message in pack([event])]
    joined = _joined(messages)
    assert [message.count for message in joined] == [1000, 1000, 500]
    assert [event.id for message in joined for event in unpack(message)] == [
        event.id for message in messages for event in unpack(message)
    ]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 1000), st.integers(2, 600_000)), max_size=60))
def test_joining_keeps_order_kinds_and_bounds(parts):
    messages = [
        Message(uuid4(), kind, b"[" + str(number).encode().ljust(size - 2) + b"]", count)
        for number, (kind, count, size) in enumerate(parts)
    ]
    joined = _joined(messages)
    flat = [(message.type, piece.strip()) for message in joined for piece in message.body[1:-1].split(b",")]
    assert flat == [(message.type, message.body[1:-1].strip()) for message in messages]
    assert sum(message.count for message in joined) == sum(message.count for message in messages)
    assert all(message.count <= 1000 for message in joined)
    assert all(len(message.body) <= MAX_PACKET_BYTES + 1000 for message in joined)
