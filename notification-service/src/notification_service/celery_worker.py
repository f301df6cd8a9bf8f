"""A Celery worker: each of its processes takes deliveries by their key, sends them and writes down what came of it."""

from typing import Any
from uuid import UUID

from celery import Celery
from celery.signals import worker_process_init

from notification_service.app import post_room, wire
from notification_service.celery_app import TASK, connect, declare
from notification_service.settings import Settings
from notification_service.usecases.context import Context
from notification_service.usecases.delivering import PostRoom, claim_one, deliver
from saras_common.clock import SystemClock
from saras_common.metrics import Metrics
from saras_common.process import Probes, say_ready


class _Bench:
    """What one worker process works with, made after the fork: connections do not survive one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._made: tuple[Context, PostRoom] | None = None

    def prepare(self, **_signal: Any) -> None:
        clock = SystemClock()
        self._made = wire(self._settings, clock=clock), post_room(self._settings, clock, Metrics())

    def send(self, key: str) -> None:
        """Send the delivery of that key unless it is done or in other hands."""
        if self._made is None:
            self.prepare()
        assert self._made is not None  # noqa: S101 - just prepared
        context, room = self._made
        delivery = claim_one(context, UUID(key))
        if delivery is not None:
            deliver(context, room, delivery)


def make_worker_app(settings: Settings) -> Celery:
    """The application with its one task."""
    app = connect(settings)
    bench = _Bench(settings)
    worker_process_init.connect(bench.prepare, weak=False)
    app.task(bench.send, name=TASK)
    return app


def run_worker(settings: Settings) -> None:
    """Work until told to stop; a warm stop lets what has begun end."""
    app = make_worker_app(settings)
    declare(app)
    if settings.probe_port:
        Probes(settings.host, settings.probe_port, Metrics(), listen_fd=settings.listen_fd)
    say_ready(settings.ready_fd)
    app.worker_main(
        ["worker", "--loglevel", settings.log_level, "--without-gossip", "--without-mingle", "--without-heartbeat"]
    )
