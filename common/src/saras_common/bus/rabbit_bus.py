"""RabbitMQ as the bus: quorum queues, confirmed publishing, one active consumer a queue."""

import logging
import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pika
from pika.exceptions import AMQPError

from saras_common.bus.protocol import (
    ATTEMPT_LIMIT,
    MAX_PAUSE_S,
    BusUnavailable,
    Handle,
    ParkedMessage,
    Subscriptions,
    partition_queue,
    reason_of,
)
from saras_common.bus.rabbit_consumer import ConnectionLost, Delivery, RabbitFeed
from saras_common.bus.rabbit_publisher import RabbitPublisher
from saras_common.bus.rabbit_topology import (
    Topology,
    connection_parameters,
    message_of,
    parked_of,
    parked_queue,
    properties_of,
)
from saras_common.errors import NotFound, Unavailable
from saras_common.events import SUBSCRIPTIONS, Message

_log = logging.getLogger(__name__)

MAX_PARKED_LISTED = 1000


class RabbitBus:
    """The bus on the RabbitMQ at ``url``; ``prefix`` keeps several apart on one broker."""

    def __init__(
        self,
        url: str,
        *,
        subscriptions: Subscriptions = SUBSCRIPTIONS,
        attempt_limit: int = ATTEMPT_LIMIT,
        prefix: str = "saras.",
    ) -> None:
        self._url = url
        self._subscriptions = subscriptions
        self._attempt_limit = attempt_limit
        self._prefix = prefix
        self._topology = Topology([prefix + queue for queue in subscriptions])
        self._publisher = RabbitPublisher(url, self._topology)
        logging.getLogger("pika").setLevel(logging.CRITICAL)  # it logs each failed connect six times; we log it once

    def publish(self, messages: Sequence[Message]) -> None:
        packets = []
        for message in messages:
            queues = [queue for queue, kinds in self._subscriptions.items() if message.type in kinds]
            if queues:
                properties = properties_of(message)
                packets += [(self._prefix + queue, properties, message.body) for queue in queues]
        if packets:
            self._publisher.publish(packets)

    def partition(self, queue: str, count: int) -> list[str]:
        partitions = [partition_queue(queue, count, number) for number in range(count)]
        if self._topology.learn(self._prefix + partition for partition in partitions):
            self._publisher.close()  # declares at its next connect, and waits until that is on disk
        return partitions

    def publish_to(self, messages: Sequence[tuple[str, Message]]) -> None:
        packets = [(self._prefix + queue, properties_of(message), message.body) for queue, message in messages]
        if packets:
            self._publisher.publish(packets)

    def consume(self, queue: str, handle: Handle, stop: threading.Event, *, batch: int = 64) -> None:
        failures = 0
        while not stop.is_set():
            feed = RabbitFeed(self._url, self._topology, self._prefix + queue, batch)
            worker = _Worker(self, queue, feed, handle, stop)
            try:
                worker.run()
            except (ConnectionLost, BusUnavailable) as error:
                if stop.is_set():
                    return
                failures = 1 if worker.worked else failures + 1
                _log.warning("queue %s reconnects: %r", queue, error.__cause__ or error)
            finally:
                feed.close()
            stop.wait(random.uniform(0.5, 1) * min(MAX_PAUSE_S, 0.1 * 2 ** min(failures, 6)))

    def depth(self, queue: str) -> int:
        return self._look_at(queue)[0]

    def is_idle(self, queue: str) -> bool:
        return self._look_at(queue) == (0, 0)  # a consumer that is gone has given back what it held

    def parked(self, queue: str) -> list[ParkedMessage]:
        with self._channel() as channel:  # what is got and not acknowledged goes back when the channel closes
            return [parked_of(properties, body) for _, properties, body in self._browse(channel, queue)]

    def replay(self, queue: str, message_id: UUID) -> None:
        with self._channel() as channel:
            for method, properties, body in self._browse(channel, queue):
                message = message_of(properties, body)
                if message.id == message_id:
                    self._publisher.publish([(self._prefix + queue, properties_of(message), body)])
                    channel.basic_ack(method.delivery_tag)
                    return
        raise NotFound("No such parked message")

    def park(self, queue: str, message: Message, reason: str, attempts: int) -> None:
        """Put ``message`` aside, durably; the caller then acknowledges it where it came from."""
        properties = properties_of(message, reason=reason, attempts=attempts)
        self._publisher.publish([(self._prefix + parked_queue(queue), properties, message.body)])

    def check(self) -> None:
        self._publisher.check()

    def close(self) -> None:
        self._publisher.close()

    @property
    def attempt_limit(self) -> int:
        """Times a message may fail on its own before it is parked."""
        return self._attempt_limit

    def _look_at(self, queue: str) -> tuple[int, int]:
        """Messages that wait, and consumers."""
        with self._channel() as channel:
            found = channel.queue_declare(self._prefix + queue, passive=True).method
            return int(found.message_count), int(found.consumer_count)

    def _browse(self, channel: Any, queue: str) -> Iterator[tuple[Any, pika.BasicProperties, bytes]]:
        for _ in range(MAX_PARKED_LISTED):
            method, properties, body = channel.basic_get(parked_queue(self._prefix + queue))
            if method is None:
                return
            yield method, properties, body

    @contextmanager
    def _channel(self) -> Iterator[Any]:
        """A channel of its own for an operator's question; the topology is there."""
        try:
            connection = pika.BlockingConnection(connection_parameters(self._url, "saras operator"))
            try:
                channel = connection.channel()
                for method, arguments in self._topology.declarations():
                    getattr(channel, method)(**arguments)
                yield channel
            finally:
                if connection.is_open:
                    connection.close()
        except (AMQPError, OSError) as error:
            raise BusUnavailable("RabbitMQ is not available", retry_after_s=2) from error


class _Worker:
    """Feeds one connection's deliveries to the handler, in order."""

    def __init__(self, bus: RabbitBus, queue: str, feed: RabbitFeed, handle: Handle, stop: threading.Event) -> None:
        self.worked = False
        self._bus = bus
        self._queue = queue
        self._feed = feed
        self._handle = handle
        self._stop = stop

    def run(self) -> None:
        while not self._stop.is_set():
            taken = self._feed.take()
            if taken:
                self._deliver(taken)
                self.worked = True
            else:
                self._feed.check()

    def _deliver(self, taken: list[Delivery]) -> None:
        """Handle together; if that fails for a reason of theirs, one by one."""
        if self._try(taken) is None:
            self._feed.acknowledge(taken[-1].tag)
            return
        for delivery in taken:
            attempts = 0
            while (error := self._try([delivery])) is not None:
                attempts += 1
                if attempts >= self._bus.attempt_limit:
                    self._bus.park(self._queue, delivery.message, reason_of(error), attempts)
                    _log.error("parked a message of %s after %d attempts", self._queue, attempts, exc_info=error)
                    break
                self._pause(0.05 * 2**attempts)
            self._feed.acknowledge(delivery.tag)

    def _try(self, taken: list[Delivery]) -> Exception | None:
        """The handler's error, if the messages are at fault; an outage is waited out here, the messages kept."""
        messages = [delivery.message for delivery in taken]
        started = time.monotonic()
        while True:
            try:
                self._handle(messages)
            except Unavailable:
                self._pause(min(MAX_PAUSE_S, 0.05 + (time.monotonic() - started)))
            except Exception as error:  # noqa: BLE001 - whatever a handler raises is the messages' failure
                return error
            else:
                return None

    def _pause(self, seconds: float) -> None:
        """Wait, unless told to stop or disconnected: then leave the messages to be delivered again."""
        self._feed.check()
        if self._stop.wait(seconds):
            raise ConnectionLost("stopping")
