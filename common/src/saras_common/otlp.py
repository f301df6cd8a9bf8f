"""Traces sent to an OpenTelemetry collector over HTTP. Imported only where one is named."""

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from uuid import UUID

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

SEND_EVERY_MS = 1000
_LOWER_HALF = (1 << 64) - 1


class OtlpTraces:
    """See `saras_common.tracing.Traces`. Spans leave from a thread of their own; a collector that is down gets none."""

    on = True

    def __init__(self, service: str, endpoint: str, share: float) -> None:
        self._ids = _OrderIds()
        self._bound = int(share * (_LOWER_HALF + 1))
        resource = Resource.create({"service.name": service})
        self._provider = TracerProvider(resource=resource, id_generator=self._ids)
        exporter = OTLPSpanExporter(endpoint=endpoint)
        self._provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=SEND_EVERY_MS))
        self._tracer = self._provider.get_tracer("saras")

    def begin(self, name: str, orders: Iterable[UUID], started_ns: int, attributes: Mapping[str, str]) -> None:
        ended_ns = time.time_ns()
        for order in self._chosen(orders):
            with self._ids.being(order):
                span = self._tracer.start_span(name, Context(), attributes=dict(attributes), start_time=started_ns)
            span.end(ended_ns)

    def go_on(self, name: str, orders: Iterable[UUID], started_ns: int, attributes: Mapping[str, str]) -> None:
        ended_ns = time.time_ns()
        for order in self._chosen(orders):
            context = set_span_in_context(NonRecordingSpan(_first_span(order)), Context())
            span = self._tracer.start_span(name, context, attributes=dict(attributes), start_time=started_ns)
            span.end(ended_ns)

    def close(self) -> None:
        self._provider.shutdown()

    def _chosen(self, orders: Iterable[UUID]) -> Iterator[UUID]:
        """An order's random half decides, so that every process chooses the same ones."""
        return (order for order in orders if first_span_id(order) < self._bound)


def first_span_id(order: UUID) -> int:
    """The id of the first span of an order's trace: the order's own lower half."""
    return order.int & _LOWER_HALF


def _first_span(order: UUID) -> SpanContext:
    flags = TraceFlags(TraceFlags.SAMPLED)
    return SpanContext(order.int, first_span_id(order), is_remote=True, trace_flags=flags)


class _OrderIds(RandomIdGenerator):
    """Random ids, but inside `being` an order's own."""

    def __init__(self) -> None:
        self._now = threading.local()

    @contextmanager
    def being(self, order: UUID) -> Iterator[None]:
        self._now.order = order
        try:
            yield
        finally:
            self._now.order = None

    def generate_trace_id(self) -> int:
        order: UUID | None = getattr(self._now, "order", None)
        return super().generate_trace_id() if order is None else order.int

    def generate_span_id(self) -> int:
        order: UUID | None = getattr(self._now, "order", None)
        return super().generate_span_id() if order is None else first_span_id(order)
