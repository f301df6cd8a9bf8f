"""Traces of orders, off unless a collector is named.

An order's id is its trace's id: a UUID has as many bits. So no message carries a trace, every process that sees an
order can add what it did, and whoever has an order's id has its trace. The first span is the request that placed the
order; all others hang from it.
"""

from collections.abc import Iterable, Mapping
from typing import Protocol
from uuid import UUID

from saras_common.events import AllocationPosted, Event, OrderAccepted, OrderProgressed, OrderUpdated


class Traces(Protocol):
    """Where spans of orders go. Times are nanoseconds since 1970, ended when the span is written."""

    @property
    def on(self) -> bool:
        """Whether anybody listens; who has to work for a span asks first."""

    def begin(self, name: str, orders: Iterable[UUID], started_ns: int, attributes: Mapping[str, str]) -> None:
        """The first span of each order's trace, from ``started_ns`` to now."""

    def go_on(self, name: str, orders: Iterable[UUID], started_ns: int, attributes: Mapping[str, str]) -> None:
        """A later span of each order's trace, from ``started_ns`` to now."""

    def close(self) -> None:
        """Send what waits."""


class NoTraces:
    """Nobody listens."""

    on = False

    def begin(self, name: str, orders: Iterable[UUID], started_ns: int, attributes: Mapping[str, str]) -> None:
        """Nothing."""

    def go_on(self, name: str, orders: Iterable[UUID], started_ns: int, attributes: Mapping[str, str]) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


NO_TRACES = NoTraces()


def connect_traces(service: str, endpoint: str | None, share: float = 1.0) -> Traces:
    """Traces of ``service`` for the OTLP collector at ``endpoint``, of a ``share`` of orders, the same everywhere."""
    if not endpoint:
        return NO_TRACES
    from saras_common.otlp import OtlpTraces

    return OtlpTraces(service, endpoint, share)


def orders_of(event: Event) -> list[UUID]:
    """The orders an event tells of."""
    match event:
        case OrderAccepted() | OrderUpdated():
            return [event.order_id]
        case OrderProgressed():
            return event.order_ids
        case AllocationPosted():
            return [part.order_id for part in event.allocations]
        case _:
            return []
