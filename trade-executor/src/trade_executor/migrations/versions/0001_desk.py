"""Windows, blocks, intents, broker orders, fills, credits, evidence, market data; grants."""

from alembic import op

from saras_common.inbox import create_inbox
from saras_common.outbox import create_outbox

revision = "0001"
down_revision = None

S = "trade_executor"

STATEMENTS = (
    "CREATE TABLE trade_executor.accounts (id TEXT NOT NULL, halted BOOLEAN DEFAULT false NOT NULL, "
    "halt_reason TEXT, opening_cash_paise BIGINT, opening_shares JSONB, mirrored_paise BIGINT DEFAULT 0 NOT "
    "NULL, reconcile_requested BOOLEAN DEFAULT false NOT NULL, PRIMARY KEY (id))",
    "CREATE TABLE trade_executor.batches (id UUID NOT NULL, account_id TEXT NOT NULL, state TEXT NOT NULL, "
    "opened_at TIMESTAMP WITH TIME ZONE NOT NULL, user_orders BIGINT NOT NULL, reason TEXT, closed_at "
    "TIMESTAMP WITH TIME ZONE, finished_at TIMESTAMP WITH TIME ZONE, broker_orders BIGINT NOT NULL, "
    "saved_paise BIGINT NOT NULL, PRIMARY KEY (id), CONSTRAINT batches_state CHECK (state IN ('OPEN', "
    "'CLOSED', 'WORKING', 'DONE')))",
    "CREATE INDEX batches_closed ON trade_executor.batches (account_id) WHERE state = 'CLOSED'",
    "CREATE UNIQUE INDEX batches_open ON trade_executor.batches (account_id) WHERE state = 'OPEN'",
    "CREATE TABLE trade_executor.blocked_instruments (account_id TEXT NOT NULL, instrument TEXT NOT NULL, "
    "CONSTRAINT blocked_instruments_pkey PRIMARY KEY (account_id, instrument))",
    "CREATE TABLE trade_executor.blocks (id UUID NOT NULL, seq BIGINT GENERATED ALWAYS AS IDENTITY, batch_id "
    "UUID NOT NULL, account_id TEXT NOT NULL, instrument TEXT NOT NULL, side TEXT NOT NULL, product TEXT NOT "
    "NULL, order_type TEXT NOT NULL, validity TEXT NOT NULL, price_paise BIGINT, trigger_price_paise BIGINT, "
    "quantity BIGINT NOT NULL, statement_hash TEXT NOT NULL, state TEXT NOT NULL, filled BIGINT NOT NULL, "
    "value_paise BIGINT NOT NULL, charges BIGINT[] NOT NULL, suspense_quantity BIGINT NOT NULL, "
    "suspense_value_paise BIGINT NOT NULL, suspense_charges_paise BIGINT NOT NULL, first_fill_on DATE, steps "
    "JSONB NOT NULL, working_told BOOLEAN NOT NULL, reason TEXT, PRIMARY KEY (id), CONSTRAINT blocks_state "
    "CHECK (state IN ('WORKING', 'DONE')), CONSTRAINT blocks_quantity CHECK (quantity > 0 AND filled >= 0), "
    "CONSTRAINT blocks_charges CHECK (cardinality(charges) = 7))",
    "CREATE INDEX blocks_by_batch ON trade_executor.blocks (batch_id)",
    "CREATE INDEX blocks_working ON trade_executor.blocks (account_id, seq) WHERE state = 'WORKING'",
    "CREATE TABLE trade_executor.broker_orders (account_id TEXT NOT NULL, broker_order_id TEXT NOT NULL, "
    "intent_id UUID NOT NULL, block_id UUID NOT NULL, quantity BIGINT NOT NULL, placed_on DATE NOT NULL, "
    "filled BIGINT NOT NULL, traded BIGINT NOT NULL, traded_value_paise BIGINT NOT NULL, status TEXT NOT "
    "NULL, ended TEXT, message TEXT, modifications BIGINT NOT NULL, cut_to BIGINT, cut_at TIMESTAMP WITH TIME "
    "ZONE, CONSTRAINT broker_orders_pkey PRIMARY KEY (account_id, broker_order_id), CONSTRAINT "
    "broker_orders_ended CHECK (ended IS NULL OR ended IN ('COMPLETE', 'CANCELLED', 'REJECTED')))",
    "CREATE INDEX broker_orders_by_block ON trade_executor.broker_orders (block_id)",
    "CREATE INDEX broker_orders_unsettled ON trade_executor.broker_orders (account_id) WHERE ended IS NULL OR "
    "traded < filled",
    "CREATE TABLE trade_executor.cancel_requests (order_id UUID NOT NULL, handled BOOLEAN DEFAULT false NOT "
    "NULL, PRIMARY KEY (order_id))",
    "CREATE INDEX cancel_requests_waiting ON trade_executor.cancel_requests (order_id) WHERE NOT handled",
    "CREATE TABLE trade_executor.certificates (account_id TEXT NOT NULL, number BIGINT NOT NULL, batch_id "
    "UUID NOT NULL, block_id UUID NOT NULL, hash TEXT NOT NULL, document JSON NOT NULL, CONSTRAINT "
    "certificates_pkey PRIMARY KEY (account_id, number))",
    "CREATE INDEX certificates_by_batch ON trade_executor.certificates (batch_id)",
    "CREATE TABLE trade_executor.credits (account_id TEXT NOT NULL, instrument TEXT NOT NULL, user_id UUID "
    "NOT NULL, lots TEXT NOT NULL, touched_on DATE NOT NULL, CONSTRAINT credits_pkey PRIMARY KEY (account_id, "
    "instrument, user_id))",
    "CREATE TABLE trade_executor.demands (order_id UUID NOT NULL, user_id UUID NOT NULL, account_id TEXT NOT "
    "NULL, batch_id UUID NOT NULL, instrument TEXT NOT NULL, side TEXT NOT NULL, order_type TEXT NOT NULL, "
    "product TEXT NOT NULL, validity TEXT NOT NULL, quantity BIGINT NOT NULL, price_paise BIGINT, "
    "trigger_price_paise BIGINT, cap_price_paise BIGINT, house BOOLEAN NOT NULL, arrival BIGINT GENERATED "
    "ALWAYS AS IDENTITY, ended BOOLEAN DEFAULT false NOT NULL, PRIMARY KEY (order_id), CONSTRAINT "
    "demands_quantity CHECK (quantity > 0))",
    "CREATE INDEX demands_by_batch ON trade_executor.demands (batch_id)",
    "CREATE TABLE trade_executor.dp_charges (account_id TEXT NOT NULL, instrument TEXT NOT NULL, day DATE NOT "
    "NULL, block_id UUID NOT NULL, CONSTRAINT dp_charges_pkey PRIMARY KEY (account_id, instrument, day))",
    "CREATE TABLE trade_executor.fills (seq BIGINT GENERATED ALWAYS AS IDENTITY, account_id TEXT NOT NULL, "
    "exchange TEXT NOT NULL, trade_id TEXT NOT NULL, traded_on DATE NOT NULL, broker_order_id TEXT NOT NULL, "
    "instrument TEXT NOT NULL, side TEXT NOT NULL, product TEXT NOT NULL, quantity BIGINT NOT NULL, "
    "value_paise BIGINT NOT NULL, traded_at TIMESTAMP WITH TIME ZONE NOT NULL, block_id UUID, CONSTRAINT "
    "fills_pkey PRIMARY KEY (account_id, exchange, trade_id, traded_on))",
    "CREATE INDEX fills_by_block ON trade_executor.fills (block_id)",
    "CREATE TABLE trade_executor.idempotency_keys (user_id UUID NOT NULL, key TEXT NOT NULL, fingerprint "
    "BYTEA NOT NULL, status BIGINT NOT NULL, body BYTEA NOT NULL, at TIMESTAMP WITH TIME ZONE DEFAULT now() "
    "NOT NULL, CONSTRAINT idempotency_keys_pkey PRIMARY KEY (user_id, key))",
    "CREATE TABLE trade_executor.instruments (name TEXT NOT NULL, token BIGINT NOT NULL, title TEXT NOT NULL, "
    "tick_paise BIGINT NOT NULL, lot_size BIGINT NOT NULL, kind TEXT NOT NULL, PRIMARY KEY (name))",
    "CREATE TABLE trade_executor.intents (id UUID NOT NULL, seq BIGINT GENERATED ALWAYS AS IDENTITY, block_id "
    "UUID NOT NULL, account_id TEXT NOT NULL, attempt BIGINT NOT NULL, tag TEXT NOT NULL, quantity BIGINT NOT "
    "NULL, state TEXT NOT NULL, epoch BIGINT NOT NULL, sending_at TIMESTAMP WITH TIME ZONE, broker_order_id "
    "TEXT, clean_reads BIGINT NOT NULL, clean_since TIMESTAMP WITH TIME ZONE, not_before TIMESTAMP WITH TIME "
    "ZONE, reason TEXT, late BOOLEAN NOT NULL, PRIMARY KEY (id), CONSTRAINT intents_state CHECK (state IN "
    "('PLANNED', 'SENDING', 'SENT', 'UNKNOWN', 'ADOPTED', 'ABSENT_CONFIRMED', 'OPERATOR', 'REFUSED', "
    "'WITHDRAWN')))",
    "CREATE INDEX intents_alive ON trade_executor.intents (account_id, seq) WHERE state IN ('PLANNED', "
    "'SENDING', 'UNKNOWN', 'OPERATOR', 'ABSENT_CONFIRMED')",
    "CREATE INDEX intents_by_block ON trade_executor.intents (block_id)",
    "CREATE UNIQUE INDEX intents_by_tag ON trade_executor.intents (tag)",
    "CREATE TABLE trade_executor.leases (account_id TEXT NOT NULL, holder UUID NOT NULL, epoch BIGINT NOT "
    "NULL, expires_at TIMESTAMP WITH TIME ZONE NOT NULL, PRIMARY KEY (account_id))",
    "CREATE TABLE trade_executor.marks (instrument TEXT NOT NULL, last_paise BIGINT NOT NULL, close_paise "
    "BIGINT, at TIMESTAMP WITH TIME ZONE NOT NULL, PRIMARY KEY (instrument))",
    "CREATE TABLE trade_executor.movements (id UUID NOT NULL, account_id TEXT NOT NULL, amount_paise BIGINT "
    "NOT NULL, reference TEXT, mirrored BOOLEAN DEFAULT false NOT NULL, PRIMARY KEY (id))",
    "CREATE INDEX movements_unmirrored ON trade_executor.movements (account_id) WHERE NOT mirrored",
    "CREATE TABLE trade_executor.order_calls (id BIGINT GENERATED ALWAYS AS IDENTITY, account_id TEXT NOT "
    "NULL, at TIMESTAMP WITH TIME ZONE NOT NULL, PRIMARY KEY (id))",
    "CREATE INDEX order_calls_by_account ON trade_executor.order_calls (account_id, at)",
    "CREATE TABLE trade_executor.reconciliations (id UUID NOT NULL, account_id TEXT NOT NULL, at TIMESTAMP "
    "WITH TIME ZONE NOT NULL, figures JSONB NOT NULL, book JSONB, report JSONB, finished_at TIMESTAMP WITH "
    "TIME ZONE, PRIMARY KEY (id))",
    "CREATE INDEX reconciliations_finished ON trade_executor.reconciliations (account_id, finished_at)",
    "CREATE INDEX reconciliations_waiting ON trade_executor.reconciliations (account_id) WHERE finished_at IS "
    "NULL",
    "CREATE TABLE trade_executor.sessions (account_id TEXT NOT NULL, version BIGINT NOT NULL, sealed_token "
    "BYTEA NOT NULL, expires_at TIMESTAMP WITH TIME ZONE NOT NULL, alive BOOLEAN NOT NULL, PRIMARY KEY "
    "(account_id))",
    "CREATE TABLE trade_executor.shares (block_id UUID NOT NULL, allocated BYTEA NOT NULL, value_paise BYTEA "
    "NOT NULL, charges BYTEA NOT NULL, flags BYTEA NOT NULL, frozen BOOLEAN NOT NULL, PRIMARY KEY (block_id))",
    "CREATE TABLE trade_executor.statements (block_id UUID NOT NULL, order_ids BYTEA NOT NULL, user_ids BYTEA "
    "NOT NULL, wanted BYTEA NOT NULL, arrivals BYTEA NOT NULL, caps_paise BYTEA NOT NULL, house BYTEA NOT "
    "NULL, credits TEXT[], PRIMARY KEY (block_id))",
    "CREATE TABLE trade_executor.strangers (account_id TEXT NOT NULL, order_id TEXT NOT NULL, instrument TEXT "
    "NOT NULL, seen_at TIMESTAMP WITH TIME ZONE NOT NULL, CONSTRAINT strangers_pkey PRIMARY KEY (account_id, "
    "order_id))",
    "CREATE TABLE trade_executor.totals (account_id TEXT NOT NULL, instrument TEXT NOT NULL, shares BIGINT "
    "NOT NULL, cash_paise BIGINT NOT NULL, CONSTRAINT totals_pkey PRIMARY KEY (account_id, instrument))",
)

UNCOMPRESSED = (
    "shares.allocated",
    "shares.value_paise",
    "shares.charges",
    "shares.flags",
    "statements.order_ids",
    "statements.user_ids",
    "statements.wanted",
    "statements.arrivals",
    "statements.caps_paise",
    "certificates.document",
)

GRANTS = {
    "SELECT, INSERT, UPDATE": (
        "accounts, leases, sessions, batches, demands, cancel_requests, blocks, shares, intents, broker_orders, credits,"
        " totals, movements, reconciliations, marks, instruments"
    ),
    "SELECT, INSERT, DELETE": "blocked_instruments, order_calls, idempotency_keys",
    "SELECT, INSERT": "statements, fills, strangers, dp_charges, certificates",
}


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    for column in UNCOMPRESSED:
        # long and written in one go: compressing them costs more than it saves
        table, name = column.split(".")
        op.execute(f"ALTER TABLE {S}.{table} ALTER COLUMN {name} SET STORAGE EXTERNAL")
    for verbs, tables in GRANTS.items():
        for table in tables.split(", "):
            op.execute(f"GRANT {verbs} ON {S}.{table.strip()} TO {S}")
    create_outbox(op, S, S)
    create_inbox(op, S, S)

