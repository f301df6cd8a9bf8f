from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from saras_common.events import (
    EVENT_TYPES,
    MAX_EVENTS_A_MESSAGE,
    SUBSCRIPTIONS,
    CancelRequested,
    MarksChanged,
    Message,
    OrderAccepted,
    OrderUpdated,
    pack,
    pack_rows,
    queues_of,
    unpack,
)

NOW = datetime(2026, 11, 2, 4, 0, tzinfo=UTC)


def accepted(quantity=1):
    return OrderAccepted(
        at=NOW,
        order_id=uuid4(),
        user_id=uuid4(),
        account_id="main",
        instrument="NSE:INFY",
        side="BUY",
        order_type="MARKET",
        product="CNC",
        validity="DAY",
        quantity=quantity,
    )


def test_messages_keep_order_and_size():
    events = [accepted(i + 1) for i in range(MAX_EVENTS_A_MESSAGE + 5)]
    cancel = CancelRequested(at=NOW, order_id=uuid4(), account_id="main")
    messages = list(pack([*events, cancel, accepted()]))
    assert [message.count for message in messages] == [1000, 5, 1, 1]
    assert [event for message in messages for event in unpack(message)][: len(events)] == events


def test_events_nobody_subscribes_to_are_not_stored():
    update = OrderUpdated(
        at=NOW, order_id=uuid4(), user_id=uuid4(), instrument="NSE:INFY", side="BUY", product="CNC", quantity=1,
        status="FILLED", filled_quantity=1, filled_value_paise=1, charges_paise=0,
    )  # fmt: skip
    assert queues_of(update.type) == [] or list(pack([update]))
    if not queues_of(update.type):
        assert list(pack([update])) == []


def test_rows_packed_without_models_read_back_as_events():
    event = accepted()
    (message,) = pack_rows(OrderAccepted, [event.model_dump()])
    assert unpack(message) == [event]


def test_unknown_kinds_and_misshapen_bodies_raise_value_error():
    with pytest.raises(ValueError, match="unknown event type"):
        unpack(Message(uuid4(), "no.such.v1", b"[]", 0))
    with pytest.raises(ValueError, match="validation error"):
        unpack(Message(uuid4(), MarksChanged.type, b'[{"at": "x"}]', 1))


def test_a_newer_publisher_may_add_fields():
    event = accepted()
    (message,) = pack_rows(OrderAccepted, [event.model_dump() | {"colour": "blue"}])
    assert unpack(message) == [event]


def test_every_subscription_names_a_known_kind():
    assert set().union(*SUBSCRIPTIONS.values()) <= set(EVENT_TYPES)


def test_types_are_past_tense_versioned_and_have_a_docstring():
    for kind, cls in EVENT_TYPES.items():
        assert kind.rsplit(".", 1)[1].startswith("v"), kind
        assert cls.__doc__, kind
        assert cls.model_config["frozen"], kind


def test_published_schemas_are_current():
    folder = Path(__file__).resolve().parents[3] / "docs" / "events"
    assert {path.stem for path in folder.glob("*.json")} == set(EVENT_TYPES) | {"subscriptions"}
