"""Celery, carrying one thing: "there is a delivery to send". The row says everything else and is the truth.

A task's id is the delivery's key. A lost task is handed over again by the beat, a doubled one finds the row taken.
Retries are the row's too (its next time, with jitter), so nothing here needs an ETA. Imported only where Celery runs.
"""

from collections.abc import Callable, Sequence
from functools import cache
from uuid import UUID

from celery import Celery
from kombu import Exchange, Queue

from notification_service.settings import Settings

QUEUE = "saras.notifications"
DEAD = "saras.notifications.dead"
TASK = "notification_service.deliver"
DELIVERY_LIMIT = 10
PUBLISH_TIMEOUT_S = 5.0


def _queues() -> tuple[Queue, Queue]:
    """The queue of tasks and the one their dead go to. Both replicated; nothing is dropped when one is full."""
    dead_exchange = Exchange(DEAD, type="direct", durable=True)
    dead = Queue(DEAD, dead_exchange, routing_key=DEAD, durable=True, queue_arguments={"x-queue-type": "quorum"})
    tasks = Queue(
        QUEUE,
        Exchange(QUEUE, type="direct", durable=True),
        routing_key=QUEUE,
        durable=True,
        queue_arguments={
            "x-queue-type": "quorum",
            "x-delivery-limit": DELIVERY_LIMIT,
            "x-dead-letter-exchange": DEAD,
            "x-dead-letter-routing-key": DEAD,
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        },
    )
    return tasks, dead


def make_celery(broker_url: str, *, send_timeout_s: float, threads: int) -> Celery:
    """The application. A task may take the sender's timeout and a bit; then it is interrupted, then killed."""
    tasks, _ = _queues()
    app = Celery("notification-service", broker=broker_url, set_as_current=False)
    app.conf.update(
        task_queues=(tasks,),
        task_default_queue=QUEUE,
        task_default_exchange=QUEUE,
        task_default_routing_key=QUEUE,
        task_default_queue_type="quorum",
        task_serializer="json",
        accept_content=["json"],
        event_serializer="json",
        result_backend=None,
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_acks_on_failure_or_timeout=False,
        task_soft_time_limit=send_timeout_s + 10,
        task_time_limit=send_timeout_s + 20,
        task_publish_retry=False,
        worker_prefetch_multiplier=1,
        worker_concurrency=threads,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        broker_transport_options={"confirm_publish": True, "confirm_timeout": PUBLISH_TIMEOUT_S},
    )
    return app


def connect(settings: Settings) -> Celery:
    """`make_celery` by the settings."""
    return make_celery(
        settings.broker_url.get_secret_value(),
        send_timeout_s=settings.send_timeout_s,
        threads=settings.send_threads,
    )


def declare(app: Celery) -> None:
    """Make the queues, the dead letters' first: without it what dies would be dropped."""
    with app.connection_for_write() as connection:
        for queue in reversed(_queues()):
            queue(connection.default_channel).declare()


def publisher(app: Celery) -> Callable[[Sequence[UUID]], None]:
    """Hands deliveries over; their queues are made at the first."""

    @cache
    def prepared() -> bool:
        declare(app)
        return True

    def publish(delivery_ids: Sequence[UUID]) -> None:
        if delivery_ids and prepared():
            with app.producer_pool.acquire(block=True, timeout=PUBLISH_TIMEOUT_S) as producer:
                for delivery_id in delivery_ids:
                    key = str(delivery_id)
                    app.send_task(TASK, args=[key], task_id=key, producer=producer)

    return publish
