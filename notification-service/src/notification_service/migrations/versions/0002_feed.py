"""The feed of live streams, and how far it was forgotten."""

from alembic import op

from saras_common.db import user_policy

revision = "0002"
down_revision = "0001"

S = "notification_service"

STATEMENTS = (
    f"CREATE TABLE {S}.feed (position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id uuid NOT NULL,"
    " kind text NOT NULL, at timestamptz NOT NULL, data jsonb NOT NULL)",
    f"CREATE INDEX feed_by_user ON {S}.feed (user_id, position)",
    f"CREATE TABLE {S}.feed_floor (one boolean PRIMARY KEY, position bigint NOT NULL,"
    " CONSTRAINT feed_floor_one CHECK (one))",
    f"INSERT INTO {S}.feed_floor VALUES (true, 0)",
    *user_policy(f"{S}.feed"),
    f"GRANT SELECT, INSERT, DELETE ON {S}.feed TO {S}",
    f"GRANT SELECT, UPDATE (position) ON {S}.feed_floor TO {S}",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
