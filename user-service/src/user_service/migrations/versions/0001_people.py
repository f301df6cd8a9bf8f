"""Users, sessions, tokens, keys, KYC, throttles, revocations, audit, outbox; row policies and grants."""

from alembic import op

from saras_common.db import user_policy
from saras_common.outbox import create_outbox

revision = "0001"
down_revision = None

TABLES = (
    "CREATE TABLE user_service.users (id uuid PRIMARY KEY, email text NOT NULL, full_name text NOT NULL, phone text,"
    " password_hash text NOT NULL, status text NOT NULL, roles text[] NOT NULL, kyc_status text NOT NULL,"
    " version bigint NOT NULL, min_version bigint NOT NULL,"
    " created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL,"
    " CONSTRAINT users_status CHECK (status IN ('active', 'disabled')),"
    " CONSTRAINT users_kyc_status CHECK (kyc_status IN ('none', 'pending', 'approved', 'rejected')),"
    " CONSTRAINT users_email_lower CHECK (email = lower(email)),"
    " CONSTRAINT users_roles CHECK (roles <@ ARRAY['user', 'admin'] AND cardinality(roles) > 0),"
    " CONSTRAINT users_version CHECK (version > 0 AND min_version BETWEEN 0 AND version))",
    "CREATE UNIQUE INDEX users_email_key ON user_service.users (email)",
    "CREATE TABLE user_service.sessions (id uuid PRIMARY KEY,"
    " user_id uuid NOT NULL REFERENCES user_service.users ON DELETE CASCADE, address text NOT NULL,"
    " agent text NOT NULL, created_at timestamptz NOT NULL, last_used_at timestamptz NOT NULL,"
    " expires_at timestamptz NOT NULL, ended_at timestamptz, end_reason text)",
    "CREATE INDEX sessions_by_user ON user_service.sessions (user_id, id)",
    "CREATE INDEX sessions_by_expiry ON user_service.sessions (expires_at)",
    "CREATE TABLE user_service.refresh_tokens (token_hash bytea PRIMARY KEY,"
    " session_id uuid NOT NULL REFERENCES user_service.sessions ON DELETE CASCADE,"
    " issued_at timestamptz NOT NULL, used_at timestamptz, successor_sealed bytea)",
    "CREATE INDEX refresh_tokens_by_session ON user_service.refresh_tokens (session_id)",
    "CREATE TABLE user_service.totp (user_id uuid PRIMARY KEY REFERENCES user_service.users ON DELETE CASCADE,"
    " secret_sealed bytea NOT NULL, enrolled_at timestamptz NOT NULL, confirmed_at timestamptz,"
    " last_step bigint NOT NULL)",
    "CREATE TABLE user_service.kyc (user_id uuid PRIMARY KEY REFERENCES user_service.users ON DELETE CASCADE,"
    " status text NOT NULL, sealed bytea NOT NULL, submitted_at timestamptz NOT NULL, decided_at timestamptz,"
    " decided_by uuid, reason text,"
    " CONSTRAINT kyc_status CHECK (status IN ('pending', 'approved', 'rejected')))",
    "CREATE TABLE user_service.signing_keys (kid text PRIMARY KEY, state text NOT NULL, sealed bytea NOT NULL,"
    " created_at timestamptz NOT NULL, signs_from timestamptz NOT NULL, replaced_at timestamptz,"
    " CONSTRAINT signing_keys_state CHECK (state IN ('active', 'previous', 'retired')))",
    "CREATE TABLE user_service.revocations (id uuid PRIMARY KEY,"
    " txid bigint NOT NULL DEFAULT (pg_current_xact_id()::text::bigint),"
    " session_id uuid, user_id uuid, min_version bigint, revoked_at timestamptz NOT NULL)",
    "CREATE INDEX revocations_by_txid ON user_service.revocations (txid)",
    "CREATE INDEX revocations_by_time ON user_service.revocations (revoked_at)",
    "CREATE TABLE user_service.throttles (key text PRIMARY KEY, busy_until timestamptz NOT NULL)",
    "CREATE INDEX throttles_by_busy_until ON user_service.throttles (busy_until)",
    "CREATE TABLE user_service.audit (id uuid PRIMARY KEY, at timestamptz NOT NULL, kind text NOT NULL, user_id uuid,"
    " actor_id uuid, address text NOT NULL, request_id text, detail jsonb NOT NULL)",
    "CREATE INDEX audit_by_user ON user_service.audit (user_id, id)",
)

GRANTS = (
    "GRANT SELECT, INSERT ON user_service.users TO user_service",
    "GRANT UPDATE (full_name, phone, password_hash, status, roles, kyc_status, version, min_version, updated_at)"
    " ON user_service.users TO user_service",
    "GRANT SELECT, INSERT, DELETE, UPDATE (last_used_at, ended_at, end_reason)"
    " ON user_service.sessions TO user_service",
    "GRANT SELECT, INSERT, DELETE, UPDATE (used_at, successor_sealed)"
    " ON user_service.refresh_tokens TO user_service",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON user_service.totp TO user_service",
    "GRANT SELECT, INSERT, UPDATE ON user_service.kyc TO user_service",
    "GRANT SELECT, INSERT, UPDATE (state, sealed, replaced_at) ON user_service.signing_keys TO user_service",
    "GRANT SELECT, INSERT, DELETE ON user_service.revocations TO user_service",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON user_service.throttles TO user_service",
    "GRANT SELECT, INSERT ON user_service.audit TO user_service",
)


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)
    create_outbox(op, "user_service", "user_service")
    for table, column in (("users", "id"), ("sessions", "user_id"), ("totp", "user_id"), ("kyc", "user_id")):
        for statement in user_policy(f"user_service.{table}", column):
            op.execute(statement)
    for statement in GRANTS:
        op.execute(statement)
