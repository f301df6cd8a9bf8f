"""Instruments, prices, the trade store, positions, valuations, reports; policies and grants."""

from alembic import op

from saras_common.db import user_policy
from saras_common.inbox import create_inbox
from saras_common.outbox import create_outbox

revision = "0001"
down_revision = None

S = "analytics_service"
WORD = 'text COLLATE "C" NOT NULL'
HOT = "WITH (fillfactor = 80)"  # room on the page, so that an update of an unindexed column stays there

TABLES = (
    f"CREATE TABLE {S}.instruments (name {WORD} PRIMARY KEY, title text NOT NULL, kind text NOT NULL,"
    " is_listed boolean NOT NULL, sector text, shares_issued bigint,"
    " CONSTRAINT instruments_shares CHECK (shares_issued > 0))",
    f"CREATE TABLE {S}.people (user_id uuid PRIMARY KEY, version bigint NOT NULL, full_name text NOT NULL,"
    " email text NOT NULL)",
    f"CREATE TABLE {S}.day_prices (instrument {WORD}, day date NOT NULL, open_paise bigint NOT NULL,"
    " high_paise bigint NOT NULL, low_paise bigint NOT NULL, close_paise bigint NOT NULL, volume bigint,"
    " source text NOT NULL, PRIMARY KEY (instrument, day),"
    " CONSTRAINT day_prices_range CHECK (low_paise > 0 AND low_paise <= high_paise),"
    " CONSTRAINT day_prices_open CHECK (open_paise BETWEEN low_paise AND high_paise),"
    " CONSTRAINT day_prices_close CHECK (close_paise BETWEEN low_paise AND high_paise),"
    f" CONSTRAINT day_prices_source CHECK (source IN ('session', 'import'))) {HOT}",
    f"CREATE INDEX day_prices_by_day ON {S}.day_prices (day)",
    f"CREATE TABLE {S}.corporate_actions (instrument {WORD}, ex_day date NOT NULL, ratio numeric NOT NULL,"
    " PRIMARY KEY (instrument, ex_day),"
    " CONSTRAINT corporate_actions_ratio CHECK (ratio > 0 AND ratio < 1000000))",
    f"CREATE TABLE {S}.trades (seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, source_id uuid NOT NULL,"
    " part bigint NOT NULL, source text NOT NULL, user_id uuid NOT NULL, order_id uuid NOT NULL,"
    f" instrument {WORD}, product {WORD}, side text NOT NULL, kind text NOT NULL, quantity bigint NOT NULL,"
    " value_paise bigint NOT NULL, charges bigint[] NOT NULL, traded_at timestamptz NOT NULL,"
    " settles_on date NOT NULL, counterparty text NOT NULL, sector text,"
    " CONSTRAINT trades_side CHECK (side IN ('BUY', 'SELL')),"
    " CONSTRAINT trades_source CHECK (source IN ('platform', 'elsewhere')),"
    " CONSTRAINT trades_kind CHECK (kind IN ('fill', 'true_up', 'bust')),"
    " CONSTRAINT trades_charges CHECK (cardinality(charges) = 7))",
    f"CREATE UNIQUE INDEX trades_once ON {S}.trades (source_id, part)",
    f"CREATE INDEX trades_by_user ON {S}.trades (user_id, seq)",
    f"CREATE TABLE {S}.rejected_trades (id uuid PRIMARY KEY, source_id uuid NOT NULL, part bigint NOT NULL,"
    " user_id uuid NOT NULL, body jsonb NOT NULL, reason text NOT NULL, detail text NOT NULL, status text NOT NULL,"
    " rejected_at timestamptz NOT NULL, corrections jsonb, replayed_at timestamptz, replayed_by uuid,"
    " CONSTRAINT rejected_trades_status CHECK (status IN ('open', 'replayed')))",
    f"CREATE UNIQUE INDEX rejected_trades_once ON {S}.rejected_trades (source_id, part)",
    f"CREATE INDEX rejected_trades_open ON {S}.rejected_trades (id) WHERE status = 'open'",
    f"CREATE TABLE {S}.positions (user_id uuid NOT NULL, source {WORD}, instrument {WORD}, product {WORD},"
    " quantity bigint NOT NULL, cost_paise bigint NOT NULL, realised_paise bigint NOT NULL,"
    " fifo_realised_paise bigint NOT NULL, lots jsonb NOT NULL, bought bigint NOT NULL, bought_paise bigint NOT NULL,"
    " sold bigint NOT NULL, sold_paise bigint NOT NULL, trades bigint NOT NULL, charges_paise bigint NOT NULL,"
    f" last_seq bigint NOT NULL, PRIMARY KEY (user_id, source, instrument, product)) {HOT}",
    f"CREATE TABLE {S}.flows (movement_id uuid PRIMARY KEY, user_id uuid NOT NULL, at timestamptz NOT NULL,"
    " amount_paise bigint NOT NULL)",
    f"CREATE INDEX flows_by_user ON {S}.flows (user_id, at)",
    f"CREATE TABLE {S}.valuations (user_id uuid NOT NULL, day date NOT NULL, portfolio_id uuid NOT NULL,"
    " cash_paise bigint NOT NULL, market_paise bigint, invested_paise bigint NOT NULL, realised_paise bigint NOT NULL,"
    " charges_paise bigint NOT NULL, deposited_paise bigint NOT NULL, withdrawn_paise bigint NOT NULL,"
    " PRIMARY KEY (user_id, day, portfolio_id))",
    f"CREATE TABLE {S}.held (user_id uuid NOT NULL, portfolio_id uuid NOT NULL, instrument {WORD}, product {WORD},"
    " since date NOT NULL, until date, quantity bigint NOT NULL, cost_paise bigint NOT NULL,"
    " PRIMARY KEY (user_id, portfolio_id, instrument, product, since),"
    " CONSTRAINT held_span CHECK (until > since))",
    f"CREATE INDEX held_now ON {S}.held (user_id) WHERE until IS NULL",
    f"CREATE TABLE {S}.closes (day date PRIMARY KEY, taken_at timestamptz NOT NULL, users bigint NOT NULL)",
    f"CREATE TABLE {S}.metrics (user_id uuid PRIMARY KEY, day date NOT NULL, figures jsonb NOT NULL)",
    f"CREATE TABLE {S}.reports (id uuid PRIMARY KEY, owner_id uuid NOT NULL, all_users boolean NOT NULL,"
    " name text NOT NULL, day date NOT NULL, status text NOT NULL, progress smallint NOT NULL, reason text,"
    " created_at timestamptz NOT NULL, touched_at timestamptz NOT NULL, finished_at timestamptz, filename text,"
    " media_type text, content bytea,"
    " CONSTRAINT reports_status CHECK (status IN ('queued', 'running', 'done', 'failed')),"
    " CONSTRAINT reports_progress CHECK (progress BETWEEN 0 AND 100))",
    f"CREATE INDEX reports_by_owner ON {S}.reports (owner_id, id)",
    f"CREATE INDEX reports_waiting ON {S}.reports (id) WHERE status IN ('queued', 'running')",
    f"CREATE TABLE {S}.leases (name text PRIMARY KEY, holder text NOT NULL, expires_at timestamptz NOT NULL)",
)

APPEND_ONLY = (
    f"""
    CREATE FUNCTION {S}.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '% is only added to', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
    END $$
    """,
    f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {S}.trades"
    f" FOR EACH STATEMENT EXECUTE FUNCTION {S}.refuse_change()",
)

OWNED = ("people", "trades", "rejected_trades", "positions", "flows", "valuations", "held", "metrics")
GRANTS = {
    "SELECT, INSERT": ("trades", "flows"),
    "SELECT, INSERT, UPDATE": ("instruments", "day_prices", "corporate_actions", "rejected_trades", "closes",
        "people"),
    "SELECT, INSERT, UPDATE, DELETE": ("positions", "valuations", "held", "metrics", "reports", "leases"),
}


def upgrade() -> None:
    for statement in (*TABLES, *APPEND_ONLY):
        op.execute(statement)
    for table in OWNED:
        for statement in user_policy(f"{S}.{table}"):
            op.execute(statement)
    for statement in user_policy(f"{S}.reports", "owner_id"):
        op.execute(statement)
    for right, tables in GRANTS.items():
        for table in tables:
            op.execute(f"GRANT {right} ON {S}.{table} TO {S}")
    create_outbox(op, S, S)
    create_inbox(op, S, S)
