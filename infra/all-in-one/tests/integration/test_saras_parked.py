"""What a consumer gave up on is listed, and once handed back it is applied, once, by who had not applied it."""

from datetime import UTC, datetime
from uuid import uuid4

import psycopg
import pytest
from pydantic import SecretStr
from rich.console import Console

from saras.errors import CommandFailed
from saras.parked import hand_back, list_parked, run_parked
from saras.settings import PlatformSettings
from saras_common.bus import PostgresBus
from saras_common.consumer import Consumer
from saras_common.events import CancelRequested, pack
from saras_common.outbox import Relay

QUEUE = "trade-executor"


@pytest.fixture
def made(database_for):
    return database_for("portfolio_service", "notification_service")


@pytest.fixture
def database(made):
    opened = made.connect()
    yield opened
    opened.dispose()


@pytest.fixture
def bus(made):
    opened = PostgresBus(made.bus_url)
    yield opened
    opened.close()


def cancel():
    return CancelRequested(at=datetime.now(UTC), order_id=uuid4(), account_id="main")


def test_a_parked_event_is_seen_and_comes_back_once_its_cause_is_mended(made, database, bus):
    applied, mended = [], []

    def handle(_session, events):
        if not mended:
            raise ValueError("a share nobody knows")
        applied.extend(events)

    consumer = Consumer(bus, QUEUE, database, handle)
    event = cancel()
    consumer.deliver(list(pack([event])))
    with psycopg.connect(made.admin_url, autocommit=True) as admin:
        (parked,) = list_parked(admin)
        assert (parked.consumer, parked.event_id, parked.kind) == (QUEUE, event.id, event.type)
        assert "a share nobody knows" in parked.reason
        mended.append(True)
        assert hand_back(admin, event.id)
        assert list_parked(admin) == []
        assert not hand_back(admin, event.id)
    assert Relay(database, bus, database.schema).drain_once() == 1
    assert bus.depth(QUEUE) == 1
    consumer.deliver(list(pack([event])))
    consumer.deliver(list(pack([event])))
    assert applied == [event]


def test_the_command_lists_and_says_what_is_not_there(made, tmp_path):
    settings = PlatformSettings(home=tmp_path / "home", database_url=SecretStr(made.admin_url))
    console = Console(record=True, width=160)
    assert run_parked(settings, None, console) == 0
    assert "Given up on" in console.export_text()
    for nothing in (str(uuid4()), "what"):
        with pytest.raises(CommandFailed, match="no event"):
            run_parked(settings, nothing, console)
