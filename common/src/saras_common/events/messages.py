"""Events packed into what an outbox stores and a bus carries, and back."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from types import GenericAlias
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from saras_common.events.base import MAX_EVENTS_A_MESSAGE, Event
from saras_common.events.topology import EVENT_TYPES, queues_of
from saras_common.ids import new_id
from saras_common.jsonio import dumps


@dataclass(frozen=True, slots=True)
class Message:
    """Many events of one kind, as stored in an outbox and carried by a bus. ``body`` is a JSON array."""

    id: UUID
    type: str
    body: bytes
    count: int


def _adapter(cls: type[Event]) -> TypeAdapter[Any]:
    many: Any = GenericAlias(list, (cls,))
    return TypeAdapter(many)


_ADAPTERS: dict[str, TypeAdapter[Any]] = {kind: _adapter(cls) for kind, cls in EVENT_TYPES.items()}


def pack(events: Iterable[Event]) -> Iterator[Message]:
    """Messages of at most `MAX_EVENTS_A_MESSAGE` events, in order; neighbours of one kind share a message."""
    for kind, run in groupby(events, key=lambda event: event.type):
        if not queues_of(kind):
            continue
        same = list(run)
        for start in range(0, len(same), MAX_EVENTS_A_MESSAGE):
            part = same[start : start + MAX_EVENTS_A_MESSAGE]
            yield Message(new_id(), kind, _ADAPTERS[kind].dump_json(part), len(part))


def pack_rows(cls: type[Event], rows: Iterable[Mapping[str, Any]]) -> Iterator[Message]:
    """`pack` for hot paths: events of one kind given as plain mappings, fields complete, ``id`` and ``at`` included.

    Nothing is validated here; the consumer does that.
    """
    if not queues_of(cls.type):
        return
    left = iter(rows)
    while part := list(islice(left, MAX_EVENTS_A_MESSAGE)):
        yield Message(new_id(), cls.type, dumps(part), len(part))


def unpack(message: Message) -> Sequence[Event]:
    """The events of ``message``; ``ValueError`` when it is of an unknown kind or does not fit its schema."""
    adapter = _ADAPTERS.get(message.type)
    if adapter is None:
        raise ValueError(f"unknown event type {message.type[:64]!r}")
    events: list[Event] = adapter.validate_json(message.body)
    return events
