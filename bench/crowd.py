"""What a bench finds already there: funded users, and a book full of orders long finished. Written in bulk."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import LiteralString
from uuid import UUID

import psycopg
from sqlalchemy import insert

from portfolio_service.domain.ledger import CASH, CASH_ASSET, EXTERNAL, Entry
from portfolio_service.models import MovementRow
from portfolio_service.store import clients, ledger, outbox
from saras_common.db import Database
from saras_common.events import FundsMoved
from saras_common.ids import new_id


def fund(database_url: str, user_ids: Sequence[str], paise: int) -> None:
    """A finished deposit for each of these new users, as the book itself writes it, all in one transaction."""
    database = Database(database_url, schema="portfolio_service", statement_timeout_ms=120_000)
    now = datetime.now(UTC)
    account = clients.DEFAULT_ACCOUNT
    movements = [(new_id(), user_id) for user_id in user_ids]
    with database.for_service() as session:
        clients.add_clients(session, sorted(user_ids), now, new_id)
        session.execute(
            insert(MovementRow),
            [
                {
                    "id": movement_id,
                    "user_id": UUID(user_id),
                    "account_id": account,
                    "kind": "deposit",
                    "amount_paise": paise,
                    "status": "completed",
                    "created_at": now,
                    "decided_at": now,
                }
                for movement_id, user_id in movements
            ],
        )
        lines = ((CASH, paise), (EXTERNAL, -paise))
        ledger.add_entries(
            session,
            [
                Entry(str(movement_id), user_id, name, account, CASH_ASSET, amount, "deposit", None, 0, 0, now)
                for movement_id, user_id in movements
                for name, amount in lines
            ],
        )
        outbox.tell(
            session,
            [
                FundsMoved(
                    at=now, movement_id=movement_id, user_id=UUID(user_id), account_id=account, amount_paise=paise
                )
                for movement_id, user_id in movements
            ],
        )
    database.dispose()


# Pairs: a share bought, and sold again at the same price a moment later, so that every balance stands where it stood.
_OLD: tuple[LiteralString, ...] = (
    "SET session_replication_role = replica",  # the journals below sum to zero, and so do their changes of balances
    """
    CREATE UNLOGGED TABLE old AS
    SELECT uuidv7(interval '-30 days') AS id, user_id, default_portfolio_id AS portfolio_id, instrument, side, paise,
        gen_random_uuid() AS journal_id, batch_id, now() - interval '30 days' AS at
    FROM (SELECT n, user_ids[n %% cardinality(user_ids) + 1] AS user_id,
            instruments[n %% cardinality(instruments) + 1] AS instrument, 100000 + n %% 1000 AS paise,
            ('00000000-0000-7000-8000-' || lpad(to_hex(n / 500), 12, '0'))::uuid AS batch_id
        FROM generate_series(0, %(pairs)s - 1) AS n,
            (SELECT %(users)s::uuid[] AS user_ids, %(instruments)s::text[] AS instruments) AS given) AS pair
    JOIN portfolio_service.clients USING (user_id), (VALUES ('BUY'), ('SELL')) AS leg (side)
    """,
    """
    INSERT INTO portfolio_service.orders (id, user_id, account_id, portfolio_id, instrument, side, order_type, product,
        validity, quantity, status, filled_quantity, filled_paise, hold_paise, hold_quantity, batch_id,
        settled_block_id, created_at, updated_at, timeline)
    SELECT id, user_id, 'main', portfolio_id, instrument, side, 'MARKET', 'CNC', 'DAY', 1, 'FILLED', 1, paise, 0, 0,
        batch_id, batch_id, at, at, jsonb_build_array(jsonb_build_array(at, 'QUEUED', NULL),
        jsonb_build_array(at, 'WORKING', NULL), jsonb_build_array(at, 'FILLED', NULL))
    FROM old
    """,
    """
    INSERT INTO portfolio_service.entries (journal_id, owner_id, account, account_id, asset, amount, kind, order_id,
        value_paise, charges_paise, at)
    SELECT journal_id, CASE WHEN line.ours THEN user_id ELSE '00000000-0000-0000-0000-000000000000' END, line.account,
        'main', CASE WHEN line.cash THEN 'INR' ELSE instrument || '|CNC' END,
        line.sign * CASE WHEN line.cash THEN paise ELSE 1 END, line.kind, CASE WHEN line.ours THEN id END, 0, 0, at
    FROM old JOIN (VALUES ('BUY', true, 'cash', true, -1, 'reserve'), ('BUY', true, 'held', true, 1, 'reserve'),
        ('BUY', true, 'held', true, -1, 'buy'), ('BUY', false, 'broker', true, 1, 'buy'),
        ('BUY', true, 'securities', false, 1, 'buy'), ('BUY', false, 'broker', false, -1, 'buy'),
        ('SELL', true, 'securities', false, -1, 'reserve'), ('SELL', true, 'securities_held', false, 1, 'reserve'),
        ('SELL', true, 'securities_held', false, -1, 'sell'), ('SELL', false, 'broker', false, 1, 'sell'),
        ('SELL', true, 'cash', true, 1, 'sell'), ('SELL', false, 'broker', true, -1, 'sell'))
        AS line (side, ours, account, cash, sign, kind) USING (side)
    """,
    """
    INSERT INTO portfolio_service.lots (order_id, user_id, portfolio_id, instrument, product, opened_at, quantity,
        remaining, cost_paise, is_open)
    SELECT id, user_id, portfolio_id, instrument, 'CNC', at, 1, 0, 0, false FROM old WHERE side = 'BUY'
    """,
    """
    INSERT INTO portfolio_service.idempotency_keys (user_id, key, fingerprint, status, body, created_at)
    SELECT user_id, id::text, sha256(id::text::bytea), 202, convert_to('["' || id || '"]', 'UTF8'), at FROM old
    """,
    """
    INSERT INTO trade_executor.batches (id, account_id, state, opened_at, user_orders, reason, closed_at, finished_at,
        broker_orders, saved_paise)
    SELECT batch_id, 'main', 'DONE', min(at), count(*), 'manual', min(at), min(at), 1, 0 FROM old GROUP BY batch_id
    """,
    """
    INSERT INTO trade_executor.demands (order_id, user_id, account_id, batch_id, instrument, side, order_type, product,
        validity, quantity, house, ended)
    SELECT id, user_id, 'main', batch_id, instrument, side, 'MARKET', 'CNC', 'DAY', 1, false, true FROM old
    """,
    "INSERT INTO trade_executor.inbox (consumer, event_id) SELECT 'trade-executor', id FROM old",
    "DROP TABLE old",
    "SET session_replication_role = DEFAULT",
    "ANALYZE portfolio_service.orders, portfolio_service.entries, portfolio_service.lots, trade_executor.demands",
    "CHECKPOINT",
)


def add_old_orders(database_url: str, user_ids: Sequence[str], instruments: Sequence[str], orders: int) -> None:
    """``orders`` finished ones of these users, with their journals, lots, keys and the executor's own rows."""
    given = {"pairs": orders // 2, "users": list(user_ids), "instruments": list(instruments)}
    with psycopg.connect(database_url, autocommit=True) as connection:
        for statement in _OLD:
            connection.execute(statement, given if "%(" in statement else None)
