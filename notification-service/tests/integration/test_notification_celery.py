"""Celery on RabbitMQ: a worker process, killed again and again.

``NOTIFY_KILL_DELIVERIES`` and ``NOTIFY_KILLS`` set another size; 2,000 and 20 take about four minutes.
"""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager

import kombu
import pytest
from celery.exceptions import SoftTimeLimitExceeded

from notification_service import tasks
from notification_service.celery_app import DEAD, QUEUE, TASK, connect, declare, publisher
from notification_service.celery_worker import make_worker_app
from saras_common.bus import connect_bus
from saras_common.clock import SystemClock
from saras_common.events import pack
from saras_common.ids import new_id
from saras_common.testing.buses import rabbit_site

pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.timeout(900)]

DELIVERIES = int(os.environ.get("NOTIFY_KILL_DELIVERIES", "40"))
KILLS = int(os.environ.get("NOTIFY_KILLS", "1"))
PATIENCE_S = 120
log = logging.getLogger(__name__)


@pytest.fixture
def site(open_desk, rabbitmq, message_database):
    """A desk on the wall clock whose deliveries go through Celery."""
    desk = open_desk(broker_url=rabbitmq.url, smtp_host=None, settle_s=0, lease_s=3, backoff_s=0.5)
    for_queues = connect(desk.settings)
    with for_queues.connection_for_write() as connection:
        for name in (QUEUE, DEAD):
            connection.default_channel.queue_delete(name)
    yield desk
    for_queues.close()


@contextmanager
def worker(desk, database, command="worker"):
    environment = {
        **os.environ,
        "DATABASE_URL": database.url,
        "BROKER_URL": desk.settings.broker_url.get_secret_value(),
        "INTERNAL_TOKEN_KEY": desk.settings.internal_token_key.get_secret_value(),
        "NOTIFY_WEBHOOK_KEY": desk.settings.webhook_key.get_secret_value(),
        "NOTIFY_ALLOW_LOOPBACK": "1",
        "NOTIFY_LEASE_S": "3",
        "NOTIFY_BACKOFF_S": "0.5",
        "NOTIFY_SETTLE_S": "0",
        "LOG_LEVEL": "WARNING",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "notification_service", command],
        env=environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        kill(process)


def kill(process):
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextmanager
def beat(desk):
    stop = threading.Event()
    celery = connect(desk.settings)
    arguments = (desk.context, new_id(), (), publisher(celery), 0.1, stop)
    thread = threading.Thread(target=tasks.run_beat, args=arguments)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        celery.close()


def states(desk):
    with desk.context.database.for_service() as session:
        rows = session.connection().exec_driver_sql("SELECT state, count(*) FROM deliveries GROUP BY state").all()
    return {row[0]: row[1] for row in rows}


def until(is_true, what):
    deadline = time.monotonic() + PATIENCE_S
    while not is_true():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def test_a_worker_killed_again_and_again_loses_nothing_and_repeats_by_key(
    open_desk, site, message_database, receiver, monkeypatch
):
    monkeypatch.setattr(site.clock, "now", SystemClock().now)
    monkeypatch.setattr(site.clock, "monotonic", SystemClock().monotonic)
    user = site.person()
    site.hook(user, receiver.url)
    receiver.answer = lambda _request: (time.sleep(0.02), (200, {}))[1]
    for start in range(0, DELIVERIES, 500):
        site.tell(*(site.funds(user, n + 1) for n in range(start, min(start + 500, DELIVERIES))))
    with beat(site):
        for number in range(KILLS):
            with worker(site, message_database) as process:
                wanted = (number + 1) * DELIVERIES // (KILLS + 1)
                until(lambda wanted=wanted: len(receiver.received) >= wanted, "the worker works")
                kill(process)
        with worker(site, message_database):
            until(lambda: states(site) == {"SENT": DELIVERIES}, "every delivery is sent")
    by_key = Counter(request.headers["Idempotency-Key"] for request in receiver.received)
    bodies = {
        (json.loads(request.body)["id"], json.loads(request.body)["notification_id"]) for request in receiver.received
    }
    log.info("%d deliveries, %d kills, %d requests, %d keys", DELIVERIES, KILLS, len(receiver.received), len(by_key))
    assert len(by_key) == DELIVERIES
    assert len(bodies) == DELIVERIES
    assert len({notification for _, notification in bodies}) == DELIVERIES


def test_from_the_bus_through_celery_to_the_receiver(site, rabbitmq, message_database, receiver):
    rabbit_site(rabbitmq)  # empties the bus' queues
    user = new_id()
    site.hook(user, receiver.url)
    with worker(site, message_database, "consume"), worker(site, message_database):
        bus = connect_bus(rabbitmq.url)
        bus.publish(list(pack([site.order(user), site.funds(user)])))
        bus.close()
        until(lambda: len(receiver.received) == 2, "both webhooks")
        until(lambda: states(site) == {"SENT": 2}, "both recorded")
    assert {json.loads(request.body)["kind"] for request in receiver.received} == {"order_filled", "funds"}


def test_tasks_are_json_on_quorum_queues_under_their_keys(site, message_database):
    celery = connect(site.settings)
    key = new_id()
    publisher(celery)([key])
    with celery.connection_for_read() as connection:
        message = connection.default_channel.basic_get(QUEUE, no_ack=True)
        assert message.content_type == "application/json"
        assert message.properties["delivery_mode"] == 2
        assert message.headers["id"] == str(key)
        assert message.headers["task"] == TASK
        assert json.loads(message.body)[0] == [str(key)]
        with pytest.raises(Exception, match="x-queue-type"):  # a queue is of one kind: classic is refused
            kombu.Queue(DEAD, durable=True)(connection.default_channel).declare()
    celery.close()


def test_a_task_that_fails_goes_to_the_dead_letters_and_its_row_is_due_again(site, message_database):
    celery = connect(site.settings)
    declare(celery)
    publish = publisher(celery)
    celery.send_task(TASK, args=["not a key"], task_id="broken")
    publish([])
    with worker(site, message_database), celery.connection_for_read() as connection:
        found = []

        def arrived():
            message = connection.default_channel.basic_get(DEAD, no_ack=True)
            found.extend([message] if message else [])
            return bool(found)

        until(arrived, "the dead letter")
    assert found[0].headers["id"] == "broken"
    celery.close()


def test_the_task_has_time_limits_and_late_acknowledgement(site):
    conf = make_worker_app(site.settings).conf
    assert conf.task_time_limit > conf.task_soft_time_limit > site.settings.send_timeout_s
    assert conf.task_acks_late
    assert conf.task_reject_on_worker_lost
    assert conf.accept_content == ["json"]
    assert conf.result_backend is None
    assert issubclass(SoftTimeLimitExceeded, Exception)


def test_what_the_queue_does_not_take_is_due_again(site):
    user = site.person()
    site.hook(user, "http://127.0.0.1:9/")
    site.tell(site.funds(user))

    def refuse(_ids):
        raise ConnectionError("no broker")

    with pytest.raises(ConnectionError):
        tasks.hand_over(site.context, refuse)
    assert states(site) == {"PENDING": 1}
    handed = []
    tasks.hand_over(site.context, handed.extend)
    assert states(site) == {"QUEUED": 1}
    tasks.hand_over(site.context, handed.extend)
    assert len(handed) == 1
    site.clock.advance(tasks.QUEUED_FOR.total_seconds())
    tasks.hand_over(site.context, handed.extend)
    assert len(handed) == 2
    assert len(set(handed)) == 1
