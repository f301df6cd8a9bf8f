"""Trades done elsewhere, as users record them: beside the ledger, and like it only added to."""

from alembic import op

from saras_common.db import user_policy

revision = "0002"
down_revision = "0001"

S = "portfolio_service"

STATEMENTS = (
    f"CREATE TABLE {S}.recorded_trades (id uuid PRIMARY KEY, user_id uuid NOT NULL, instrument text NOT NULL,"
    " side text NOT NULL, quantity bigint NOT NULL, price_paise bigint NOT NULL, traded_at timestamptz NOT NULL,"
    " recorded_at timestamptz NOT NULL,"
    " CONSTRAINT recorded_trades_side CHECK (side IN ('BUY', 'SELL')),"
    " CONSTRAINT recorded_trades_positive CHECK (quantity > 0 AND price_paise > 0))",
    f"CREATE INDEX recorded_trades_by_user ON {S}.recorded_trades (user_id, traded_at, id)",
    # one function for both tables: it names the one it guards
    f"""
    CREATE OR REPLACE FUNCTION {S}.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '% is only added to', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
    END $$
    """,
    f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {S}.recorded_trades"
    f" FOR EACH STATEMENT EXECUTE FUNCTION {S}.refuse_change()",
    *user_policy(f"{S}.recorded_trades"),
    f"GRANT SELECT, INSERT ON {S}.recorded_trades TO {S}",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
