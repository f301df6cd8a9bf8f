"""Publishing to RabbitMQ with confirms: a thousand messages in flight, none believed before it is confirmed."""

import logging
import threading
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import pika
from pika.exceptions import AMQPError

from saras_common.bus.protocol import BusUnavailable
from saras_common.bus.rabbit_topology import Topology, connection_parameters

_log = logging.getLogger(__name__)

WINDOW = 1000
CONNECT_TIMEOUT_S = 15
CONFIRM_TIMEOUT_S = 30
SETTLE_S = 1.0
"""From declaring queues to the first publish. RabbitMQ 3.10 writes a new quorum queue's registration half a second
late; killed before that, it forgets the queue and the messages it confirmed in it (seen every time)."""

Packet = tuple[str, pika.BasicProperties, bytes]
"""Queue, properties, body."""


class RabbitPublisher:
    """One connection with its own thread, made when needed and thrown away at the first doubt."""

    def __init__(self, url: str, topology: Topology) -> None:
        self._url = url
        self._topology = topology
        self._lock = threading.Lock()
        self._link: _Link | None = None

    def publish(self, packets: Sequence[Packet]) -> None:
        """Return when RabbitMQ confirmed each packet in its queue; else `BusUnavailable`."""
        with self._lock:
            link = self._connected()
            try:
                link.send(packets)
            except BusUnavailable:
                self._drop()
                raise

    def check(self) -> None:
        """`BusUnavailable` unless connected, or connectable."""
        with self._lock:
            self._connected()

    def close(self) -> None:
        """Disconnect; the next one to publish connects again, and declares what there then is."""
        with self._lock:
            self._drop()

    def _connected(self) -> "_Link":
        if self._link is not None and not self._link.alive:
            self._drop()
        if self._link is None:
            self._link = _Link(self._url, self._topology)
            try:
                self._link.open()
            except BusUnavailable:
                self._drop()
                raise
        return self._link

    def _drop(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None


class _Flight:
    """Packets being published; touched by the connection's thread only, but for ``done`` and ``error``."""

    def __init__(self, packets: Sequence[Packet]) -> None:
        self.packets = packets
        self.sent = 0
        self.pending: dict[int, None] = {}
        self.error = ""
        self.done = threading.Event()


class _Link:
    """One connection's life: opened, used, closed once. Callbacks run in its thread."""

    def __init__(self, url: str, topology: Topology) -> None:
        self._parameters = connection_parameters(url, "saras publisher")
        self._topology = topology
        self._ready = threading.Event()
        self._error = ""
        self._channel: Any = None
        self._connection: Any = None
        self._flight: _Flight | None = None
        self._next_tag = 1
        self._thread = threading.Thread(target=self._run, name="rabbit-publisher", daemon=True)

    @property
    def alive(self) -> bool:
        return not self._error and self._thread.is_alive()

    def open(self) -> None:
        """Connect, declare the topology, ask for confirms."""
        self._thread.start()
        if not self._ready.wait(CONNECT_TIMEOUT_S):
            self._error = self._error or "no answer"
        if self._error:
            raise BusUnavailable("RabbitMQ is not available", retry_after_s=2) from ConnectionError(self._error)
        time.sleep(SETTLE_S)

    def send(self, packets: Sequence[Packet]) -> None:
        flight = _Flight(packets)
        self._connection.ioloop.add_callback_threadsafe(partial(self._begin, flight))
        if not flight.done.wait(CONFIRM_TIMEOUT_S):
            flight.error = flight.error or "no confirm in time"
        if flight.error:
            raise BusUnavailable("RabbitMQ did not take the messages", retry_after_s=2) from ConnectionError(
                flight.error
            )

    def close(self) -> None:
        if not self._thread.is_alive():
            return
        if self._connection is not None:
            self._connection.ioloop.add_callback_threadsafe(partial(self._fail, "closed"))
        self._thread.join(CONNECT_TIMEOUT_S)

    def _run(self) -> None:
        try:
            self._connection = pika.SelectConnection(
                self._parameters,
                on_open_callback=self._opened,
                on_open_error_callback=self._ended,
                on_close_callback=self._ended,
            )
            self._connection.ioloop.start()
        except (AMQPError, OSError) as error:
            self._ended(None, error)
        finally:
            if self._connection is not None:
                self._connection.ioloop.close()

    def _opened(self, connection: Any) -> None:
        connection.channel(on_open_callback=self._channel_opened)

    def _channel_opened(self, channel: Any) -> None:
        self._channel = channel
        channel.add_on_close_callback(lambda _channel, reason: self._fail(str(reason)))
        channel.add_on_return_callback(self._returned)
        self._declare(iter(self._topology.declarations()))

    def _declare(self, calls: Any, _answer: Any = None) -> None:
        """One declaration after another, then confirms, then ready."""
        call = next(calls, None)
        if call is None:
            self._channel.confirm_delivery(self._confirmed, callback=lambda _answer: self._ready.set())
            return
        method, arguments = call
        getattr(self._channel, method)(**arguments, callback=partial(self._declare, calls))

    def _begin(self, flight: _Flight) -> None:
        self._flight = flight
        if self._error or not self._channel.is_open:
            flight.error = self._error or "the channel is closed"
            flight.done.set()
            return
        self._fill(flight)

    def _fill(self, flight: _Flight) -> None:
        publish, pending = self._channel.basic_publish, flight.pending
        end = min(len(flight.packets), flight.sent + WINDOW - len(pending))
        for queue, properties, body in flight.packets[flight.sent : end]:
            publish("", queue, body, properties, mandatory=True)
            pending[self._next_tag] = None
            self._next_tag += 1
        flight.sent = end

    def _confirmed(self, frame: Any) -> None:
        flight = self._flight
        if flight is None:
            return
        method = frame.method
        if method.NAME == "Basic.Nack":
            flight.error = flight.error or "refused by the queue"
        pending = flight.pending
        if method.multiple:
            for tag in list(pending):
                if tag > method.delivery_tag:
                    break
                del pending[tag]
        else:
            pending.pop(method.delivery_tag, None)
        if flight.sent < len(flight.packets):
            if len(pending) <= WINDOW // 2:
                self._fill(flight)
        elif not pending:
            self._flight = None
            flight.done.set()

    def _returned(self, _channel: Any, method: Any, _properties: Any, _body: bytes) -> None:
        """A mandatory message without a queue. The next connection declares the queues again."""
        if self._flight is not None:
            self._flight.error = f"unroutable: {method.reply_text} {method.routing_key}"

    def _fail(self, reason: str) -> None:
        """End the connection; `_ended` follows when it is closed."""
        self._error = self._error or reason
        if self._connection.is_open:
            self._connection.close()
        elif not self._connection.is_closing:
            self._connection.ioloop.stop()

    def _ended(self, _connection: Any, reason: object) -> None:
        self._error = self._error or str(reason) or type(reason).__name__
        flight, self._flight = self._flight, None
        if flight is not None:
            flight.error = flight.error or self._error
            flight.done.set()
        self._ready.set()
        if self._connection is not None:
            self._connection.ioloop.stop()
