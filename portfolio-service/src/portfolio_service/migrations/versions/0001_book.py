"""The book: clients, market, orders, the ledger with its trigger, movements, positions, lots; policies and grants."""

from alembic import op

from saras_common.db import user_policy
from saras_common.inbox import create_inbox
from saras_common.outbox import create_outbox

revision = "0001"
down_revision = None

S = "portfolio_service"
HOT = "WITH (fillfactor = 70)"  # room on the page, so that an update of an unindexed column stays there

TABLES = (
    f"CREATE TABLE {S}.clients (user_id uuid PRIMARY KEY, account_id text NOT NULL, version bigint NOT NULL,"
    " status text NOT NULL, kyc_status text NOT NULL, default_portfolio_id uuid NOT NULL,"
    " open_orders bigint NOT NULL DEFAULT 0,"
    " CONSTRAINT clients_status CHECK (status IN ('active', 'disabled')),"
    f" CONSTRAINT clients_open_orders CHECK (open_orders >= 0)) {HOT}",
    f"CREATE TABLE {S}.portfolios (id uuid PRIMARY KEY, user_id uuid NOT NULL, name text NOT NULL, benchmark text,"
    " created_at timestamptz NOT NULL)",
    f"CREATE UNIQUE INDEX portfolios_name_key ON {S}.portfolios (user_id, name)",
    f"CREATE TABLE {S}.instruments (name text PRIMARY KEY, token bigint NOT NULL, title text NOT NULL,"
    " tick_paise bigint NOT NULL, lot_size bigint NOT NULL, kind text NOT NULL,"
    " CONSTRAINT instruments_steps CHECK (tick_paise > 0 AND lot_size > 0))",
    f"CREATE TABLE {S}.blocked_instruments (instrument text NOT NULL, account_id text NOT NULL,"
    " PRIMARY KEY (instrument, account_id))",
    f"CREATE TABLE {S}.marks (instrument text PRIMARY KEY, last_paise bigint NOT NULL, close_paise bigint,"
    f" at timestamptz NOT NULL, CONSTRAINT marks_positive CHECK (last_paise > 0)) {HOT}",
    f"CREATE TABLE {S}.orders (id uuid PRIMARY KEY, user_id uuid NOT NULL, account_id text NOT NULL,"
    " portfolio_id uuid NOT NULL, instrument text NOT NULL, side text NOT NULL, order_type text NOT NULL,"
    " product text NOT NULL, validity text NOT NULL, quantity bigint NOT NULL, price_paise bigint,"
    " trigger_price_paise bigint, status text NOT NULL DEFAULT 'ACCEPTED', status_reason text,"
    " filled_quantity bigint NOT NULL DEFAULT 0, filled_paise bigint NOT NULL DEFAULT 0,"
    " charges bigint[] NOT NULL DEFAULT '{0,0,0,0,0,0,0}'::bigint[], hold_paise bigint NOT NULL,"
    " hold_quantity bigint NOT NULL, basket_id uuid, batch_id uuid, settled_block_id uuid,"
    " cancel_requested_at timestamptz, created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL,"
    " timeline jsonb NOT NULL DEFAULT '[]'::jsonb,"
    " CONSTRAINT orders_side CHECK (side IN ('BUY', 'SELL')),"
    " CONSTRAINT orders_status CHECK (status IN ('ACCEPTED', 'QUEUED', 'WORKING', 'PARTIALLY_FILLED', 'FILLED',"
    " 'CANCELLED', 'REJECTED', 'EXPIRED')),"
    " CONSTRAINT orders_quantity CHECK (quantity > 0 AND filled_quantity BETWEEN 0 AND quantity),"
    " CONSTRAINT orders_hold CHECK (hold_paise >= 0 AND hold_quantity >= 0),"
    f" CONSTRAINT orders_charges CHECK (cardinality(charges) = 7)) {HOT}",
    f"CREATE INDEX orders_by_user ON {S}.orders (user_id, id)",
    f"CREATE TABLE {S}.entries (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, journal_id uuid NOT NULL,"
    ' owner_id uuid NOT NULL, account text COLLATE "C" NOT NULL, account_id text COLLATE "C" NOT NULL,'
    ' asset text COLLATE "C" NOT NULL, amount bigint NOT NULL, kind text NOT NULL, order_id uuid,'
    " value_paise bigint NOT NULL, charges_paise bigint NOT NULL, at timestamptz NOT NULL,"
    " CONSTRAINT entries_amount CHECK (amount <> 0),"
    " CONSTRAINT entries_account CHECK (account IN ('cash', 'held', 'securities', 'securities_held',"
    " 'broker', 'charges', 'external', 'found', 'suspense')))",
    f"CREATE INDEX entries_statement ON {S}.entries (owner_id, id) WHERE kind NOT IN ('reserve', 'release')",
    f'CREATE TABLE {S}.balances (owner_id uuid NOT NULL, account text COLLATE "C" NOT NULL,'
    ' asset text COLLATE "C" NOT NULL, account_id text COLLATE "C" NOT NULL, amount bigint NOT NULL,'
    " change bigint NOT NULL, version bigint NOT NULL DEFAULT 1,"
    " PRIMARY KEY (owner_id, account, asset, account_id),"
    " CONSTRAINT balances_not_negative CHECK (amount >= 0 OR account IN ('broker', 'charges', 'external', 'found',"
    f" 'suspense'))) {HOT}",
    f"CREATE TABLE {S}.movements (id uuid PRIMARY KEY, user_id uuid NOT NULL, account_id text NOT NULL,"
    " kind text NOT NULL, amount_paise bigint NOT NULL, status text NOT NULL, created_at timestamptz NOT NULL,"
    " decided_at timestamptz, decided_by uuid,"
    " CONSTRAINT movements_kind CHECK (kind IN ('deposit', 'withdrawal')),"
    " CONSTRAINT movements_status CHECK (status IN ('pending', 'completed', 'rejected')),"
    " CONSTRAINT movements_amount CHECK (amount_paise > 0))",
    f"CREATE INDEX movements_by_user ON {S}.movements (user_id, id)",
    f"CREATE INDEX movements_pending ON {S}.movements (id) WHERE status = 'pending'",
    f"CREATE TABLE {S}.positions (user_id uuid NOT NULL, portfolio_id uuid NOT NULL,"
    ' instrument text COLLATE "C" NOT NULL, product text COLLATE "C" NOT NULL, quantity bigint NOT NULL,'
    " reserved bigint NOT NULL, cost_paise bigint NOT NULL, realised_paise bigint NOT NULL,"
    " fifo_realised_paise bigint NOT NULL, charges_paise bigint NOT NULL, day date, day_bought bigint NOT NULL,"
    " day_bought_paise bigint NOT NULL, day_sold bigint NOT NULL, day_sold_paise bigint NOT NULL,"
    " PRIMARY KEY (user_id, portfolio_id, instrument, product),"
    f" CONSTRAINT positions_reserved CHECK (quantity >= 0 AND reserved <= quantity)) {HOT}",
    f"CREATE TABLE {S}.lots (order_id uuid PRIMARY KEY, user_id uuid NOT NULL, portfolio_id uuid NOT NULL,"
    ' instrument text COLLATE "C" NOT NULL, product text COLLATE "C" NOT NULL, opened_at timestamptz NOT NULL,'
    " quantity bigint NOT NULL, remaining bigint NOT NULL, cost_paise bigint NOT NULL, is_open boolean NOT NULL,"
    " CONSTRAINT lots_remaining CHECK (remaining BETWEEN 0 AND quantity AND is_open = (remaining > 0)))"
    f" {HOT}",
    f"CREATE INDEX lots_open ON {S}.lots (user_id, instrument, product, portfolio_id) WHERE is_open",
    f'CREATE TABLE {S}.idempotency_keys (user_id uuid NOT NULL, key text COLLATE "C" NOT NULL,'
    " fingerprint bytea NOT NULL, status smallint NOT NULL, body bytea NOT NULL, created_at timestamptz NOT NULL,"
    " PRIMARY KEY (user_id, key))",
    f"CREATE INDEX idempotency_keys_by_age ON {S}.idempotency_keys (created_at)",
)

LEDGER = (
    # One statement, one grouping: every journal must sum to zero per broker account and asset, and the sums go into
    # balances in one fixed order. PostgreSQL judges CHECK on the proposed row before it notices the conflict, so the
    # proposal never carries a negative amount; what must not come into being below zero is caught after.
    f"""
    CREATE FUNCTION {S}.apply_entries() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = {S}, pg_temp AS $$
    DECLARE overdrawn bigint;
    BEGIN
        IF EXISTS (SELECT FROM fresh GROUP BY journal_id, account_id, asset HAVING sum(amount) <> 0) THEN
            RAISE EXCEPTION 'a journal does not sum to zero'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'journal_balanced', TABLE = 'entries';
        END IF;
        WITH sums AS (
            SELECT owner_id, account, asset, account_id, sum(amount)::bigint AS change
            FROM fresh GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
        ), applied AS (
            INSERT INTO balances AS b (owner_id, account, asset, account_id, amount, change)
            SELECT owner_id, account, asset, account_id,
                CASE WHEN account IN ('broker', 'charges', 'external', 'found', 'suspense')
                    THEN change ELSE greatest(change, 0) END,
                change
            FROM sums
            ON CONFLICT (owner_id, account, asset, account_id) DO UPDATE
            SET amount = b.amount + excluded.change, change = excluded.change, version = b.version + 1
            RETURNING b.amount, b.change, b.version
        )
        SELECT count(*) INTO overdrawn FROM applied WHERE version = 1 AND amount <> change;
        IF overdrawn > 0 THEN
            RAISE EXCEPTION 'a balance would be negative'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'balances_not_negative', TABLE = 'balances';
        END IF;
        RETURN NULL;
    END $$
    """,
    f"REVOKE ALL ON FUNCTION {S}.apply_entries() FROM PUBLIC",
    f"CREATE TRIGGER apply_entries AFTER INSERT ON {S}.entries REFERENCING NEW TABLE AS fresh"
    f" FOR EACH STATEMENT EXECUTE FUNCTION {S}.apply_entries()",
    f"""
    CREATE FUNCTION {S}.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'the ledger is only added to' USING ERRCODE = 'restrict_violation';
    END $$
    """,
    f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {S}.entries"
    f" FOR EACH STATEMENT EXECUTE FUNCTION {S}.refuse_change()",
)

OWNED = (
    ("clients", "user_id"),
    ("portfolios", "user_id"),
    ("orders", "user_id"),
    ("entries", "owner_id"),
    ("balances", "owner_id"),
    ("movements", "user_id"),
    ("positions", "user_id"),
    ("lots", "user_id"),
    ("idempotency_keys", "user_id"),
)

GRANTS = (
    f"GRANT SELECT, INSERT, UPDATE (version, status, kyc_status, open_orders) ON {S}.clients TO {S}",
    f"GRANT SELECT, INSERT ON {S}.portfolios TO {S}",
    f"GRANT SELECT, INSERT, UPDATE ON {S}.instruments, {S}.marks TO {S}",
    f"GRANT SELECT, INSERT, DELETE ON {S}.blocked_instruments TO {S}",
    f"GRANT SELECT, INSERT, UPDATE (status, status_reason, filled_quantity, filled_paise, charges, hold_paise,"
    f" hold_quantity, batch_id, settled_block_id, cancel_requested_at, updated_at, timeline) ON {S}.orders TO {S}",
    f"GRANT SELECT, INSERT ON {S}.entries TO {S}",
    f"GRANT SELECT ON {S}.balances TO {S}",
    f"GRANT SELECT, INSERT, UPDATE (status, decided_at, decided_by) ON {S}.movements TO {S}",
    f"GRANT SELECT, INSERT, UPDATE ON {S}.positions, {S}.lots TO {S}",
    f"GRANT SELECT, INSERT, DELETE ON {S}.idempotency_keys TO {S}",
)


def upgrade() -> None:
    for statement in TABLES + LEDGER:
        op.execute(statement)
    create_outbox(op, S, S)
    create_inbox(op, S, S)
    for table, column in OWNED:
        for statement in user_policy(f"{S}.{table}", column):
            op.execute(statement)
    for statement in GRANTS:
        op.execute(statement)
