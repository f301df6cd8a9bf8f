"""Queues and parked messages."""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    for statement in (
        "CREATE TABLE bus.message (seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, queue text NOT NULL,"
        " id uuid NOT NULL, type text NOT NULL, body bytea NOT NULL, count integer NOT NULL,"
        " attempts integer NOT NULL DEFAULT 0)",
        "CREATE INDEX message_queue ON bus.message (queue, seq)",
        # bodies are JSON soon deleted again: compressing them costs more than it saves
        "ALTER TABLE bus.message ALTER COLUMN body SET STORAGE EXTERNAL",
        # a queue's table is all churn: vacuum early and without pauses
        "ALTER TABLE bus.message SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,"
        " autovacuum_vacuum_cost_delay = 0)",
        "CREATE TABLE bus.parked (seq bigint PRIMARY KEY, queue text NOT NULL, id uuid NOT NULL, type text NOT NULL,"
        " body bytea NOT NULL, count integer NOT NULL, attempts integer NOT NULL, reason text NOT NULL,"
        " parked_at timestamptz NOT NULL DEFAULT now())",
        "CREATE INDEX parked_queue ON bus.parked (queue, id)",
        "GRANT SELECT, INSERT, DELETE, UPDATE (attempts) ON bus.message TO bus",
        "GRANT SELECT, INSERT, DELETE ON bus.parked TO bus",
    ):
        op.execute(statement)
