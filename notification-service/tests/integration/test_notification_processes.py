"""The commands and the loops."""

import os
import signal
import subprocess
import sys
import threading
import time

import httpx2
import pytest

from notification_service import __main__ as command
from notification_service import tasks
from notification_service.app import workers
from notification_service.usecases.upkeep import BEAT_TTL, hold_beat, prune
from saras_common.bus import connect_bus
from saras_common.clock import SystemClock
from saras_common.errors import Unavailable
from saras_common.events import pack
from saras_common.ids import new_id
from saras_common.inbox import Inbox
from saras_common.testing import free_port

PATIENCE_S = 200
"""Three interpreters start on a machine that may be busy with other tests."""


@pytest.fixture
def environment(message_database, monkeypatch):
    values = {
        "DATABASE_URL": message_database.url,
        "BROKER_URL": message_database.bus_url,
        "INTERNAL_TOKEN_KEY": "internal-key-of-the-tests-32-bytes-long",
        "NOTIFY_WEBHOOK_KEY": "webhook-key-of-the-tests-32-bytes-long",
        "NOTIFY_POLL_S": "0.05",
        "NOTIFY_SETTLE_S": "0",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return {**os.environ, **values}


def until(is_true, what):
    deadline = time.monotonic() + PATIENCE_S
    while not is_true():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def start(name, environment):
    return subprocess.Popen([sys.executable, "-m", "notification_service", name], env=environment)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_api_consumer_and_worker_are_processes_of_their_own(open_desk, environment, message_database, receiver):
    desk = open_desk(smtp_host=None, settle_s=0)
    user = new_id()
    desk.hook(user, receiver.url)
    port = free_port()
    environment |= {"PORT": str(port), "NOTIFY_ALLOW_LOOPBACK": "1"}
    processes = [start(name, environment) for name in ("api", "consume", "worker")]
    bus = connect_bus(message_database.bus_url)
    try:
        bus.publish(list(pack([desk.funds(user)])))
        until(lambda: receiver.received, "the webhook")

        def is_ready():
            try:
                return httpx2.get(f"http://127.0.0.1:{port}/health/ready", timeout=2).status_code == 200
            except httpx2.TransportError:
                return False

        until(is_ready, "the API")
    finally:
        bus.close()
        for process in processes:
            process.send_signal(signal.SIGTERM)
        codes = [process.wait(30) for process in processes]
    assert codes[1:] == [0, 0]


def test_all_loops_together_tell_and_send(settings_of, open_desk, message_database, receiver):
    desk = open_desk(smtp_host=None, settle_s=0)
    user = new_id()
    desk.hook(user, receiver.url)
    loops = workers(settings_of(smtp_host=None, settle_s=0, poll_s=0.05))
    stop = threading.Event()
    threads = [threading.Thread(target=loop.run, args=(stop,)) for loop in loops]
    for thread in threads:
        thread.start()
    bus = connect_bus(message_database.bus_url)
    bus.publish(list(pack([desk.order(user)])))
    try:
        until(lambda: receiver.received, "the webhook")
    finally:
        stop.set()
        bus.close()
        for thread in threads:
            thread.join()


def test_migrate_may_run_again(message_database, environment, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", message_database.admin_url)
    command.main(["migrate"])


def test_one_beats_at_a_time(desk):
    first, second = new_id(), new_id()
    assert hold_beat(desk.context, first)
    assert hold_beat(desk.context, first)
    assert not hold_beat(desk.context, second)
    with desk.context.database.for_service() as session:
        session.connection().exec_driver_sql("UPDATE leases SET until = now() - interval '1 second'")
    assert hold_beat(desk.context, second)
    assert not hold_beat(desk.context, first)
    assert BEAT_TTL.total_seconds() > 1


def test_the_loops_outlive_a_database_that_is_away(settings_of, monkeypatch):
    looked = threading.Event()

    def away(*_arguments):
        looked.set()
        raise Unavailable("away")

    monkeypatch.setattr(tasks, "claim_due", away)
    monkeypatch.setattr(tasks, "hold_beat", away)
    chosen = [loop for loop in workers(settings_of(poll_s=0.01)) if loop.name.endswith(("sending", "beat"))]
    for loop in chosen:
        stop = threading.Event()
        thread = threading.Thread(target=loop.run, args=(stop,))
        thread.start()
        assert looked.wait(10)
        looked.clear()
        stop.set()
        thread.join()


def test_a_delivery_whose_worker_died_is_anybodys_after_its_lease(open_desk, receiver):
    desk = open_desk(smtp_host=None, settle_s=0, lease_s=60)
    user = desk.person()
    desk.hook(user, receiver.url)
    desk.tell(desk.funds(user))
    (taken,) = tasks.claim_due(desk.context, 10)
    assert desk.send_due() == 0
    desk.clock.advance(61)
    assert desk.send_due() == 1
    assert len(receiver.received) == 1
    assert receiver.received[0].headers["Idempotency-Key"] == str(taken.id)
    (shown,) = desk.deliveries(user, desk.inbox(user)[0]["id"])
    assert (shown["status"], shown["attempts"]) == ("SENT", 2)


def test_old_messages_go_with_their_deliveries(desk, monkeypatch):
    user = desk.person()
    desk.tell(desk.funds(user))
    inbox = Inbox("notification_service", "notification-service")
    now = SystemClock().now()
    prune(desk.context, [inbox])  # the ids are of the real present, the desk's clock stands earlier
    assert len(desk.inbox(user)) == 1
    desk.clock.step(now.replace(year=now.year + 2))
    prune(desk.context, [inbox])
    assert desk.inbox(user) == []
    with desk.context.database.for_service() as session:
        assert session.connection().exec_driver_sql("SELECT count(*) FROM deliveries").scalar() == 0
