"""Events in, once each: the ids a consumer applied, kept with the effect, and the events it gave up on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Column, DateTime, Integer, LargeBinary, MetaData, PrimaryKeyConstraint, Table, Text, Uuid, text
from sqlalchemy import func as sql_func
from sqlalchemy.orm import Session

from saras_common.db import driver
from saras_common.events import Event, Message, pack, unpack
from saras_common.outbox import Operations


def add_inbox_table(metadata: MetaData, schema: str) -> tuple[Table, Table]:
    """The inbox and its parked events among a service's models; `create_inbox` makes them in a migration."""
    inbox = Table(
        "inbox",
        metadata,
        Column("consumer", Text, nullable=False),
        Column("event_id", Uuid, nullable=False),
        PrimaryKeyConstraint("consumer", "event_id", name="inbox_pkey"),
        schema=schema,
    )
    parked = Table(
        "inbox_parked",
        metadata,
        Column("consumer", Text, nullable=False),
        Column("event_id", Uuid, nullable=False),
        Column("type", Text, nullable=False),
        Column("body", LargeBinary, nullable=False),
        Column("reason", Text, nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("parked_at", DateTime(timezone=True), nullable=False, server_default=sql_func.now()),
        PrimaryKeyConstraint("consumer", "event_id", name="inbox_parked_pkey"),
        schema=schema,
    )
    return inbox, parked


_DDL = """
CREATE TABLE {schema}.inbox (
    consumer text NOT NULL, event_id uuid NOT NULL, CONSTRAINT inbox_pkey PRIMARY KEY (consumer, event_id)
);
CREATE TABLE {schema}.inbox_parked (
    consumer text NOT NULL, event_id uuid NOT NULL, type text NOT NULL, body bytea NOT NULL,
    reason text NOT NULL, attempts integer NOT NULL, parked_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT inbox_parked_pkey PRIMARY KEY (consumer, event_id)
);
GRANT SELECT, INSERT, DELETE ON {schema}.inbox TO {role};
GRANT SELECT, INSERT, UPDATE, DELETE ON {schema}.inbox_parked TO {role}
"""


def create_inbox(op: Operations, schema: str, role: str) -> None:
    """Migration: the inbox of ``schema``, used by ``role``."""
    for statement in _DDL.split(";"):
        op.execute(statement.strip().format(schema=schema, role=role))


@dataclass(frozen=True, slots=True)
class ParkedEvent:
    """An event its consumer could not apply."""

    event: Event
    reason: str
    attempts: int
    parked_at: datetime


class Inbox:
    """What one consumer of one service has seen."""

    def __init__(self, schema: str, consumer_name: str) -> None:
        self._consumer = consumer_name
        self._insert = (
            f"WITH new AS (INSERT INTO {schema}.inbox (consumer, event_id)"  # noqa: S608 - our schema's name
            " SELECT %s, unnest(%s::uuid[]) ON CONFLICT DO NOTHING RETURNING event_id)"
            " SELECT CASE WHEN count(*) < %s THEN coalesce(array_agg(event_id), '{}') END FROM new"
        )
        self._park = text(
            f"INSERT INTO {schema}.inbox_parked (consumer, event_id, type, body, reason, attempts)"  # noqa: S608
            " VALUES (:consumer, :id, :type, :body, :reason, :attempts) ON CONFLICT (consumer, event_id)"
            " DO UPDATE SET reason = excluded.reason, attempts = inbox_parked.attempts + excluded.attempts"
        )
        self._list = text(
            f"SELECT type, body, reason, attempts, parked_at FROM {schema}.inbox_parked"  # noqa: S608
            " WHERE consumer = :consumer ORDER BY event_id LIMIT :limit"
        )
        self._unpark = text(
            f"DELETE FROM {schema}.inbox_parked"  # noqa: S608 - our schema's name
            " WHERE consumer = :consumer AND event_id = :id RETURNING type, body"
        )
        self._forget = text(
            f"DELETE FROM {schema}.inbox WHERE consumer = :consumer AND event_id < :before"  # noqa: S608
        )

    def fresh(self, session: Session, events: Sequence[Event]) -> list[Event]:
        """Those of ``events`` never seen before, in order, each once; they are remembered with the caller's commit.

        A second transaction with the same events waits here for the first and then gets none of them.
        """
        if not events:
            return []
        found = self._remember(session, [event.id for event in events])
        if found is None:
            return list(events)
        new = set(found)
        result = []
        for event in events:
            if event.id in new:
                new.discard(event.id)
                result.append(event)
        return result

    def fresh_ids(self, session: Session, ids: Sequence[UUID]) -> set[UUID]:
        """`fresh` for whoever does not apply the events: those of ``ids`` never seen before."""
        if not ids:
            return set()
        found = self._remember(session, ids)
        return set(ids) if found is None else set(found)

    def _remember(self, session: Session, ids: Sequence[UUID]) -> Sequence[UUID] | None:
        """The new ones, or ``None`` when each is new and stands there once."""
        ordered = sorted({event_id.hex for event_id in ids})  # one order for all, so that no two consumers deadlock
        asked = (self._consumer, "{" + ",".join(ordered) + "}", len(ids))
        ((found,),) = driver(session).execute(self._insert, asked).fetchall()
        known: Sequence[UUID] | None = found
        return known

    def park(self, session: Session, event: Event, reason: str, attempts: int) -> None:
        """Give up on ``event``: it is remembered as seen and kept with the reason."""
        self.fresh(session, [event])
        message = _message_of(event)
        session.execute(
            self._park,
            {
                "consumer": self._consumer,
                "id": event.id,
                "type": message.type,
                "body": message.body,
                "reason": reason,
                "attempts": attempts,
            },
        )

    def list_parked(self, session: Session, limit: int = 100) -> list[ParkedEvent]:
        """Events this consumer gave up on, oldest first."""
        rows = session.execute(self._list, {"consumer": self._consumer, "limit": limit}).all()
        return [ParkedEvent(_event_of(row.type, row.body), row.reason, row.attempts, row.parked_at) for row in rows]

    def take_parked(self, session: Session, event_id: UUID) -> Event | None:
        """Remove a parked event to apply it now in the caller's transaction; ``None`` when it is not parked."""
        row = session.execute(self._unpark, {"consumer": self._consumer, "id": event_id}).one_or_none()
        return None if row is None else _event_of(row.type, row.body)

    def prune(self, session: Session, before: datetime) -> int:
        """Forget ids made before that instant (UUIDv7 tells when); how many. Keep far more than a bus can redeliver."""
        bound = UUID(int=int(before.timestamp() * 1000) << 80)
        deleted = session.execute(self._forget, {"consumer": self._consumer, "before": bound})
        return int(deleted.rowcount)  # type: ignore[attr-defined] # a DELETE has one


def _message_of(event: Event) -> Message:
    return next(iter(pack([event])))


def _event_of(kind: str, body: bytes) -> Event:
    return unpack(Message(UUID(int=0), kind, bytes(body), 1))[0]
