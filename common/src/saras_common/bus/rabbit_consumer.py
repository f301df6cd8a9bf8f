"""Consuming from RabbitMQ: a thread that only talks to the broker, and the caller's thread that works.

A handler may take longer than a heartbeat without losing the connection, since the talking thread goes on. Acks travel
back to it, many at a time.
"""

import contextlib
import queue as queues
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pika
from pika.exceptions import AMQPError, StreamLostError

from saras_common.bus.protocol import MAX_EVENTS_A_DELIVERY
from saras_common.bus.rabbit_topology import Topology, connection_parameters, message_of
from saras_common.events import Message

POLL_S = 0.2
CLOSE_TIMEOUT_S = 5


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message in our hands, and how often the broker handed it out before."""

    tag: int
    message: Message


class ConnectionLost(Exception):
    """What was in flight will be delivered again."""


class RabbitFeed:
    """One connection that receives one queue. Made by the working thread, which alone calls its public methods."""

    def __init__(self, url: str, topology: Topology, queue: str, batch: int) -> None:
        self._url = url
        self._topology = topology
        self._queue = queue
        self._batch = batch
        self._received: queues.SimpleQueue[Delivery | None] = queues.SimpleQueue()
        self._held: Delivery | None = None
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._connection: Any = None
        self._channel: Any = None
        self._thread = threading.Thread(target=self._talk, name=f"rabbit-{queue}", daemon=True)
        self._thread.start()

    def take(self) -> list[Delivery]:
        """The next messages in order, at most ``batch`` and a bounded number of events; empty after a short wait."""
        taken: list[Delivery] = []
        events = 0
        while len(taken) < self._batch:
            delivery, self._held = self._held or self._next(wait=not taken), None
            if delivery is None:
                break
            events += delivery.message.count
            if taken and events > MAX_EVENTS_A_DELIVERY:
                self._held = delivery
                break
            taken.append(delivery)
        return taken

    def acknowledge(self, tag: int) -> None:
        """Done with this delivery and all before it."""
        self._soon(lambda: self._channel.basic_ack(tag, multiple=True))

    def check(self) -> None:
        """`ConnectionLost` once the connection is gone."""
        if self._error is not None or not self._thread.is_alive():
            raise ConnectionLost from self._error

    def close(self) -> None:
        """Send what was acknowledged, give back the rest."""
        self._stop.set()
        with contextlib.suppress(ConnectionLost):
            self._soon(lambda: None)
        self._thread.join(10)

    def _next(self, *, wait: bool) -> Delivery | None:
        try:
            delivery = self._received.get(timeout=POLL_S) if wait else self._received.get_nowait()
        except queues.Empty:
            return None
        if delivery is None:
            raise ConnectionLost from self._error
        return delivery

    def _soon(self, call: Callable[[], None]) -> None:
        self.check()
        if self._connection is not None:
            try:
                self._connection.add_callback_threadsafe(partial(self._quietly, call))
            except AMQPError as error:
                raise ConnectionLost from error

    def _quietly(self, call: Callable[[], None]) -> None:
        """An ack that finds its channel closed is not needed: the message comes again."""
        if self._channel.is_open:
            call()

    def _talk(self) -> None:
        try:
            self._connection = pika.BlockingConnection(connection_parameters(self._url, f"saras {self._queue}"))
            self._channel = self._connection.channel()
            for method, arguments in self._topology.declarations():
                getattr(self._channel, method)(**arguments)
            self._channel.basic_qos(prefetch_count=self._batch + self._batch // 2 + 1)
            self._channel.add_on_cancel_callback(self._cancelled)
            self._channel.basic_consume(self._queue, self._receive)
            while not self._stop.is_set():
                self._connection.process_data_events(time_limit=1)
                if not self._channel.is_open:
                    break
            self._connection.process_data_events(time_limit=0)
        except (AMQPError, OSError) as error:
            self._error = error
        finally:
            self._received.put(None)
            if self._connection is not None and self._connection.is_open:
                with contextlib.suppress(AMQPError, OSError):
                    _close(self._connection)

    def _receive(self, _channel: Any, method: Any, properties: pika.BasicProperties, body: bytes) -> None:
        self._received.put(Delivery(method.delivery_tag, message_of(properties, body)))

    def _cancelled(self, _frame: Any) -> None:
        """The queue was deleted or moved: reconnect, which declares it again."""
        self._stop.set()


def _close(connection: Any) -> None:
    """Hang up, so that the broker takes back all we hold at once and in order.

    A close by the protocol cancels the consumer first and gives back in parts: later messages before earlier ones.
    """
    connection._impl._terminate_stream(StreamLostError("hung up"))  # noqa: SLF001 - there is no other way to it
    deadline = time.monotonic() + CLOSE_TIMEOUT_S
    while not connection.is_closed and time.monotonic() < deadline:
        connection.process_data_events(time_limit=CLOSE_TIMEOUT_S)
