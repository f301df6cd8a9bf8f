"""Reference data, smallcases with their versions, investments, runs, offers, SIPs; row policies and grants."""

from alembic import op

from saras_common.db import user_policy
from saras_common.inbox import create_inbox
from saras_common.outbox import create_outbox

revision = "0001"
down_revision = None

S = "smallcase_service"

TABLES = (
    f"CREATE TABLE {S}.instruments (name text NOT NULL, title text NOT NULL, tick_paise bigint NOT NULL, "
    f"lot_size bigint NOT NULL, kind text NOT NULL, PRIMARY KEY (name))",
    f"CREATE TABLE {S}.marks (instrument text NOT NULL, last_paise bigint NOT NULL, at timestamptz NOT NULL, "
    f"PRIMARY KEY (instrument))",
    f"CREATE TABLE {S}.blocked_instruments (instrument text NOT NULL, account_id text NOT NULL, PRIMARY KEY "
    f"(instrument, account_id))",
    f"CREATE TABLE {S}.day_prices (instrument text NOT NULL, day date NOT NULL, close_paise bigint NOT NULL, "
    f"volume bigint, told_at timestamptz NOT NULL, PRIMARY KEY (instrument, day), CONSTRAINT "
    f"day_prices_positive CHECK (close_paise > 0))",
    f"CREATE TABLE {S}.corporate_actions (instrument text NOT NULL, ex_day date NOT NULL, ratio text NOT NULL, "
    f"PRIMARY KEY (instrument, ex_day))",
    f"CREATE TABLE {S}.facts (instrument text NOT NULL, sector text NOT NULL, shares_issued bigint, PRIMARY KEY "
    f"(instrument))",
    f"CREATE TABLE {S}.smallcases (id uuid NOT NULL, owner_id uuid NOT NULL, name text NOT NULL, description "
    f"text, visibility text NOT NULL, version bigint NOT NULL, created_at timestamptz NOT NULL, updated_at "
    f"timestamptz NOT NULL, deleted_at timestamptz, PRIMARY KEY (id), CONSTRAINT smallcases_visibility CHECK "
    f"(visibility IN ('private', 'public')), CONSTRAINT smallcases_version CHECK (version > 0))",
    f"CREATE INDEX smallcases_by_owner ON {S}.smallcases (owner_id, id)",
    f"CREATE INDEX smallcases_public ON {S}.smallcases (id) WHERE visibility = 'public' AND deleted_at IS NULL",
    f"CREATE TABLE {S}.versions (smallcase_id uuid NOT NULL, version bigint NOT NULL, weighting text NOT NULL, "
    f"frequency text, drift_band bigint, band_is_relative boolean NOT NULL, cooldown_days bigint NOT NULL, diff "
    f"jsonb NOT NULL, index_level float8, created_at timestamptz NOT NULL, PRIMARY KEY (smallcase_id, version), "
    f"CONSTRAINT versions_weighting CHECK (weighting IN ('custom', 'equal', 'market_cap', "
    f"'inverse_volatility')))",
    f"CREATE TABLE {S}.constituents (smallcase_id uuid NOT NULL, version bigint NOT NULL, instrument text NOT "
    f"NULL, position bigint NOT NULL, weight bigint NOT NULL, floor bigint, cap bigint, units float8, PRIMARY "
    f"KEY (smallcase_id, version, instrument), CONSTRAINT constituents_weight CHECK (weight BETWEEN 1 AND "
    f"1000000))",
    f"CREATE TABLE {S}.investments (id uuid NOT NULL, user_id uuid NOT NULL, smallcase_id uuid NOT NULL, "
    f"version bigint NOT NULL, repair_budget bigint, rebalanced_at timestamptz NOT NULL, created_at timestamptz "
    f"NOT NULL, PRIMARY KEY (id))",
    f"CREATE INDEX investments_by_smallcase ON {S}.investments (smallcase_id, id)",
    f"CREATE UNIQUE INDEX investments_by_user ON {S}.investments (user_id, smallcase_id)",
    f"CREATE TABLE {S}.holdings (investment_id uuid NOT NULL, instrument text NOT NULL, user_id uuid NOT NULL, "
    f"quantity bigint NOT NULL, PRIMARY KEY (investment_id, instrument), CONSTRAINT holdings_not_negative CHECK "
    f"(quantity >= 0))",
    f"CREATE INDEX holdings_by_user ON {S}.holdings (user_id, instrument)",
    f"CREATE TABLE {S}.runs (id uuid NOT NULL, investment_id uuid NOT NULL, user_id uuid NOT NULL, smallcase_id "
    f"uuid NOT NULL, kind text NOT NULL, state text NOT NULL, reason text, version bigint NOT NULL, "
    f"budget_paise bigint NOT NULL, is_full boolean NOT NULL, is_adjusted boolean NOT NULL, round bigint NOT "
    f"NULL, attempt bigint NOT NULL, is_placed boolean NOT NULL, spent_paise bigint NOT NULL, received_paise "
    f"bigint NOT NULL, unspent_paise bigint NOT NULL, created_at timestamptz NOT NULL, looked_at timestamptz "
    f"NOT NULL, ended_at timestamptz, PRIMARY KEY (id), CONSTRAINT runs_kind CHECK (kind IN ('invest', 'add', "
    f"'exit', 'rebalance', 'repair', 'sip')), CONSTRAINT runs_state CHECK (state IN ('QUEUED', 'SELLING', "
    f"'BUYING', 'COMPLETED', 'COMPLETED_ADJUSTED', 'FAILED', 'CANCELLED')))",
    f"CREATE UNIQUE INDEX runs_active ON {S}.runs (investment_id) WHERE state IN ('QUEUED', 'SELLING', "
    f"'BUYING')",
    f"CREATE INDEX runs_by_investment ON {S}.runs (investment_id, id)",
    f"CREATE INDEX runs_due ON {S}.runs (looked_at) WHERE state IN ('QUEUED', 'SELLING', 'BUYING')",
    f"CREATE TABLE {S}.legs (run_id uuid NOT NULL, round bigint NOT NULL, instrument text NOT NULL, "
    f"investment_id uuid NOT NULL, user_id uuid NOT NULL, side text NOT NULL, quantity bigint NOT NULL, "
    f"order_id uuid, status text NOT NULL, status_reason text, filled_quantity bigint NOT NULL, filled_paise "
    f"bigint NOT NULL, charges_paise bigint NOT NULL, told_by uuid, traded_on date, PRIMARY KEY (run_id, round, "
    f"instrument), CONSTRAINT legs_side CHECK (side IN ('BUY', 'SELL')), CONSTRAINT legs_quantity CHECK "
    f"(quantity > 0 AND filled_quantity BETWEEN 0 AND quantity))",
    f"CREATE INDEX legs_by_investment ON {S}.legs (investment_id)",
    f"CREATE UNIQUE INDEX legs_by_order ON {S}.legs (order_id)",
    f"CREATE TABLE {S}.offers (investment_id uuid NOT NULL, user_id uuid NOT NULL, cause text NOT NULL, version "
    f"bigint NOT NULL, drift bigint NOT NULL, offered_at timestamptz NOT NULL, taken_at timestamptz, PRIMARY "
    f"KEY (investment_id), CONSTRAINT offers_cause CHECK (cause IN ('version', 'drift', 'calendar')))",
    f"CREATE TABLE {S}.sips (id uuid NOT NULL, user_id uuid NOT NULL, smallcase_id uuid NOT NULL, amount_paise "
    f"bigint NOT NULL, frequency text NOT NULL, start_on date NOT NULL, number bigint NOT NULL, session_on date "
    f"NOT NULL, created_at timestamptz NOT NULL, ended_at timestamptz, PRIMARY KEY (id), CONSTRAINT sips_amount "
    f"CHECK (amount_paise > 0), CONSTRAINT sips_frequency CHECK (frequency IN ('daily', 'weekly', "
    f"'fortnightly', 'monthly', 'quarterly', 'half_yearly', 'yearly')))",
    f"CREATE INDEX sips_by_user ON {S}.sips (user_id, id)",
    f"CREATE INDEX sips_due ON {S}.sips (session_on) WHERE ended_at IS NULL",
    f"CREATE TABLE {S}.instalments (sip_id uuid NOT NULL, due_on date NOT NULL, user_id uuid NOT NULL, status "
    f"text NOT NULL, run_id uuid, reason text, at timestamptz NOT NULL, PRIMARY KEY (sip_id, due_on), "
    f"CONSTRAINT instalments_status CHECK (status IN ('invested', 'skipped')))",
    f"CREATE TABLE {S}.checks (user_id uuid NOT NULL, instrument text NOT NULL, PRIMARY KEY (user_id, "
    f"instrument))",
    f"CREATE TABLE {S}.idempotency_keys (user_id uuid NOT NULL, key text NOT NULL, fingerprint bytea NOT NULL, "
    f"run_id uuid, status bigint, body bytea, created_at timestamptz NOT NULL, PRIMARY KEY (user_id, key))",
    f"CREATE INDEX idempotency_keys_by_age ON {S}.idempotency_keys (created_at)",
)

# a basket is there for its manager, for everybody when it is public, and for whoever is invested in it
VISIBLE = (
    f"ALTER TABLE {S}.smallcases ENABLE ROW LEVEL SECURITY",
    f"ALTER TABLE {S}.smallcases FORCE ROW LEVEL SECURITY",
    f"CREATE POLICY visible ON {S}.smallcases FOR SELECT USING ("
    "(SELECT current_setting('app.scope', true)) = 'service' OR visibility = 'public'"
    " OR owner_id = ANY ((SELECT NULLIF(current_setting('app.user_ids', true), '')::uuid[])::uuid[])"
    f" OR EXISTS (SELECT FROM {S}.investments i WHERE i.smallcase_id = smallcases.id))",
    f"CREATE POLICY managed ON {S}.smallcases USING ((SELECT current_setting('app.scope', true)) = 'service'"
    " OR owner_id = ANY ((SELECT NULLIF(current_setting('app.user_ids', true), '')::uuid[])::uuid[]))",
    *(
        statement
        for table in ("versions", "constituents")
        for statement in (
            f"ALTER TABLE {S}.{table} ENABLE ROW LEVEL SECURITY",
            f"ALTER TABLE {S}.{table} FORCE ROW LEVEL SECURITY",
            f"CREATE POLICY of_visible ON {S}.{table} USING ((SELECT current_setting('app.scope', true)) = 'service'"
            f" OR EXISTS (SELECT FROM {S}.smallcases s WHERE s.id = smallcase_id))",
        )
    ),
)

OWNED = ("investments", "holdings", "runs", "legs", "offers", "sips", "instalments", "checks", "idempotency_keys")

GRANTS = (
    *(
        f"GRANT SELECT, INSERT, UPDATE ON {S}.{table} TO {S}"
        for table in ("instruments", "marks", "day_prices", "corporate_actions", "facts")
    ),
    f"GRANT SELECT, INSERT, DELETE ON {S}.blocked_instruments TO {S}",
    f"GRANT SELECT, INSERT ON {S}.smallcases, {S}.versions, {S}.constituents TO {S}",
    f"GRANT UPDATE (name, description, visibility, version, updated_at, deleted_at) ON {S}.smallcases TO {S}",
    f"GRANT UPDATE (index_level) ON {S}.versions TO {S}",
    f"GRANT UPDATE (units) ON {S}.constituents TO {S}",
    f"GRANT SELECT, INSERT, UPDATE (version, repair_budget, rebalanced_at) ON {S}.investments TO {S}",
    f"GRANT SELECT, INSERT, UPDATE (quantity) ON {S}.holdings TO {S}",
    f"GRANT SELECT, INSERT, UPDATE ON {S}.runs, {S}.legs, {S}.offers TO {S}",
    f"GRANT DELETE ON {S}.legs TO {S}",
    f"GRANT SELECT, INSERT, UPDATE (number, session_on, ended_at) ON {S}.sips TO {S}",
    f"GRANT SELECT, INSERT, UPDATE (status, reason) ON {S}.instalments TO {S}",
    f"GRANT SELECT, INSERT, DELETE ON {S}.checks TO {S}",
    f"GRANT SELECT, INSERT, DELETE, UPDATE (run_id, status, body) ON {S}.idempotency_keys TO {S}",
)


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)
    create_outbox(op, S, S)
    create_inbox(op, S, S)
    for table in OWNED:
        for statement in user_policy(f"{S}.{table}"):
            op.execute(statement)
    for statement in (*VISIBLE, *GRANTS):
        op.execute(statement)
