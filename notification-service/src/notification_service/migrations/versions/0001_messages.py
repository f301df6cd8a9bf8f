"""People, preferences, notifications, deliveries, webhooks, alerts, leases; inbox, policies and grants."""

from alembic import op

from saras_common.db import user_policy
from saras_common.inbox import create_inbox

revision = "0001"
down_revision = None

S = "notification_service"
OPEN = "state IN ('PENDING', 'QUEUED', 'SENDING')"

TABLES = (
    f"CREATE TABLE {S}.people (user_id uuid PRIMARY KEY, version bigint NOT NULL, email text NOT NULL,"
    " full_name text NOT NULL, status text NOT NULL, roles text[] NOT NULL, kyc_status text NOT NULL)",
    f"CREATE INDEX people_admins ON {S}.people (user_id) WHERE 'admin' = ANY (roles)",
    f"CREATE TABLE {S}.preferences (user_id uuid PRIMARY KEY, language text NOT NULL, time_zone text NOT NULL,"
    " quiet_from bigint, quiet_to bigint, digest_at bigint NOT NULL, contacts jsonb NOT NULL, choices jsonb NOT NULL,"
    " updated_at timestamptz NOT NULL,"
    " CONSTRAINT preferences_language CHECK (language IN ('en', 'hi')),"
    " CONSTRAINT preferences_quiet CHECK ((quiet_from IS NULL) = (quiet_to IS NULL)))",
    f"CREATE TABLE {S}.notifications (id uuid PRIMARY KEY, user_id uuid NOT NULL, kind text NOT NULL,"
    " source text NOT NULL, count bigint NOT NULL, data jsonb NOT NULL, in_app boolean NOT NULL,"
    " created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL, read_at timestamptz)",
    f"CREATE UNIQUE INDEX notifications_source_key ON {S}.notifications (user_id, source)",
    f"CREATE INDEX notifications_inbox ON {S}.notifications (user_id, id) WHERE in_app",
    f"CREATE TABLE {S}.deliveries (id uuid PRIMARY KEY,"
    f" notification_id uuid NOT NULL REFERENCES {S}.notifications ON DELETE CASCADE, user_id uuid NOT NULL,"
    " channel text NOT NULL, target_id uuid NOT NULL, round bigint NOT NULL, state text NOT NULL,"
    " attempts bigint NOT NULL, next_at timestamptz NOT NULL, answer text, created_at timestamptz NOT NULL,"
    " updated_at timestamptz NOT NULL,"
    " CONSTRAINT deliveries_state"
    " CHECK (state IN ('PENDING', 'QUEUED', 'SENDING', 'SENT', 'FAILED', 'HELD', 'DIGESTED')))",
    f"CREATE UNIQUE INDEX deliveries_once ON {S}.deliveries (notification_id, channel, target_id, round)",
    f"CREATE INDEX deliveries_due ON {S}.deliveries (next_at) WHERE {OPEN}",
    f"CREATE INDEX deliveries_held ON {S}.deliveries (next_at) WHERE state = 'HELD'",
    f"CREATE INDEX deliveries_open_by_webhook ON {S}.deliveries (target_id)"
    " WHERE channel = 'webhook' AND state IN ('PENDING', 'QUEUED')",
    f"CREATE TABLE {S}.webhooks (id uuid PRIMARY KEY, user_id uuid NOT NULL, url text NOT NULL,"
    " kinds text[] NOT NULL, state text NOT NULL, failing_since timestamptz, reason text,"
    " created_at timestamptz NOT NULL, CONSTRAINT webhooks_state CHECK (state IN ('active', 'disabled')))",
    f"CREATE INDEX webhooks_by_user ON {S}.webhooks (user_id, id)",
    f"CREATE TABLE {S}.alerts (id uuid PRIMARY KEY, user_id uuid NOT NULL, instrument text NOT NULL,"
    " condition text NOT NULL, price_paise bigint, fall_bp bigint, peak_paise bigint,"
    " created_at timestamptz NOT NULL, fired_at timestamptz, fired_paise bigint,"
    " CONSTRAINT alerts_condition CHECK (condition IN ('above', 'below', 'drawdown')),"
    " CONSTRAINT alerts_threshold CHECK ((condition = 'drawdown') = (fall_bp IS NOT NULL)"
    " AND (condition = 'drawdown') = (price_paise IS NULL)))",
    f"CREATE INDEX alerts_by_user ON {S}.alerts (user_id, id)",
    f"CREATE INDEX alerts_watching ON {S}.alerts (instrument) WHERE fired_at IS NULL",
    f"CREATE TABLE {S}.leases (name text PRIMARY KEY, holder uuid NOT NULL, until timestamptz NOT NULL)",
)

GRANTS = (
    f"GRANT SELECT, INSERT, UPDATE ON {S}.people TO {S}",
    f"GRANT SELECT, INSERT, UPDATE ON {S}.preferences TO {S}",
    f"GRANT SELECT, INSERT, DELETE, UPDATE (count, data, in_app, updated_at, read_at) ON {S}.notifications TO {S}",
    f"GRANT SELECT, INSERT, UPDATE (state, attempts, next_at, answer, updated_at) ON {S}.deliveries TO {S}",
    f"GRANT SELECT, INSERT, DELETE, UPDATE (state, failing_since, reason) ON {S}.webhooks TO {S}",
    f"GRANT SELECT, INSERT, DELETE, UPDATE (peak_paise, fired_at, fired_paise) ON {S}.alerts TO {S}",
    f"GRANT SELECT, INSERT, UPDATE ON {S}.leases TO {S}",
)


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)
    create_inbox(op, S, S)
    for table in ("people", "preferences", "notifications", "deliveries", "webhooks", "alerts"):
        for statement in user_policy(f"{S}.{table}"):
            op.execute(statement)
    for statement in GRANTS:
        op.execute(statement)
