"""Intents, the broker's orders, fills."""

from collections.abc import Sequence
from dataclasses import astuple
from datetime import datetime
from typing import Any
from uuid import UUID

from trade_executor.domain import BrokerOrder, Fill, Intent, IntentState, OrderEnd
from trade_executor.store.postgres.statements import Statements

_INTENT = (
    "SELECT id, block_id, account_id, attempt, tag, quantity, state, epoch, sending_at, broker_order_id, clean_reads,"
    " clean_since, not_before, reason, late FROM intents"
)
_ORDER = (
    "SELECT account_id, broker_order_id, intent_id, block_id, quantity, placed_on, filled, traded, traded_value_paise,"
    " status, ended, message, modifications, cut_to, cut_at FROM broker_orders"
)
_FILL = (
    "account_id, exchange, trade_id, traded_on, broker_order_id, instrument, side, product, quantity, value_paise,"
    " traded_at, block_id"
)


class OrderQueries(Statements):
    """See `trade_executor.store.Blocks`."""

    def add_intent(self, intent: Intent) -> None:
        self.run(
            "INSERT INTO intents (id, block_id, account_id, attempt, tag, quantity, state, epoch, clean_reads, late)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, 0, false)",
            [
                intent.id,
                intent.block_id,
                intent.account_id,
                intent.attempt,
                intent.tag,
                intent.quantity,
                intent.state,
                intent.epoch,
            ],
        )

    def get_intent(self, intent_id: UUID) -> Intent:
        return _intent(self.get(_INTENT + " WHERE id = %s FOR UPDATE", [intent_id]))

    def save_intent(self, intent: Intent) -> None:
        self.run(
            "UPDATE intents SET quantity = %s, state = %s, epoch = %s, sending_at = %s, broker_order_id = %s,"
            " clean_reads = %s, clean_since = %s, not_before = %s, reason = %s, late = %s WHERE id = %s",
            [
                intent.quantity,
                intent.state,
                intent.epoch,
                intent.sending_at,
                intent.broker_order_id,
                intent.clean_reads,
                intent.clean_since,
                intent.not_before,
                intent.reason,
                intent.late,
                intent.id,
            ],
        )

    def list_intents(self, block_id: UUID) -> list[Intent]:
        return [_intent(row) for row in self.all(_INTENT + " WHERE block_id = %s ORDER BY attempt", [block_id])]

    def list_planned(self, account_id: str) -> list[Intent]:
        rows = self.all(
            _INTENT
            + " WHERE account_id = %s AND state IN ('PLANNED', 'SENDING', 'UNKNOWN', 'OPERATOR', 'ABSENT_CONFIRMED')"
            " AND state = 'PLANNED' ORDER BY seq",
            [account_id],
        )
        return [_intent(row) for row in rows]

    def list_unresolved(self, account_id: str, since: datetime) -> list[Intent]:
        rows = self.all(
            _INTENT
            + " WHERE account_id = %s AND state IN ('PLANNED', 'SENDING', 'UNKNOWN', 'OPERATOR', 'ABSENT_CONFIRMED')"
            " AND state <> 'PLANNED' AND (state <> 'ABSENT_CONFIRMED' OR sending_at >= %s) ORDER BY seq",
            [account_id, since],
        )
        return [_intent(row) for row in rows]

    def add_broker_order(self, order: BrokerOrder) -> None:
        self.run(
            "INSERT INTO broker_orders (account_id, broker_order_id, intent_id, block_id, quantity, placed_on, filled,"
            " traded, traded_value_paise, status, modifications) VALUES (%s, %s, %s, %s, %s, %s, 0, 0, 0, %s, 0)",
            [
                order.account_id,
                order.broker_order_id,
                order.intent_id,
                order.block_id,
                order.quantity,
                order.placed_on,
                order.status,
            ],
        )

    def save_broker_order(self, order: BrokerOrder) -> None:
        self.run(
            "UPDATE broker_orders SET quantity = %s, filled = %s, traded = %s, traded_value_paise = %s, status = %s,"
            " ended = %s, message = %s, modifications = %s, cut_to = %s, cut_at = %s"
            " WHERE account_id = %s AND broker_order_id = %s",
            [
                order.quantity,
                order.filled,
                order.traded,
                order.traded_value_paise,
                order.status,
                order.end,
                order.message,
                order.modifications,
                order.cut_to,
                order.cut_at,
                order.account_id,
                order.broker_order_id,
            ],
        )

    def list_broker_orders(self, block_id: UUID) -> list[BrokerOrder]:
        rows = self.all(_ORDER + " WHERE block_id = %s ORDER BY broker_order_id", [block_id])
        return [_order(row) for row in rows]

    def list_unsettled(self, account_id: str) -> list[BrokerOrder]:
        rows = self.all(
            _ORDER + " WHERE account_id = %s AND (ended IS NULL OR traded < filled) ORDER BY broker_order_id",
            [account_id],
        )
        return [_order(row) for row in rows]

    def find_broker_orders(self, account_id: str, order_ids: Sequence[str]) -> dict[str, BrokerOrder]:
        if not order_ids:
            return {}
        rows = self.all(_ORDER + " WHERE account_id = %s AND broker_order_id = ANY(%s)", [account_id, list(order_ids)])
        return {row[1]: _order(row) for row in rows}

    def add_fills(self, fills: Sequence[Fill]) -> list[Fill]:
        offered = {(fill.exchange, fill.trade_id, fill.traded_on): fill for fill in reversed(fills)}
        if not offered:
            return []
        columns = zip(*(astuple(fill) for fill in reversed(offered.values())), strict=True)
        added = self.all(
            f"INSERT INTO fills ({_FILL}) SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::date[],"  # noqa: S608 - our columns
            " %s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::timestamptz[],"
            " %s::uuid[])"
            " ON CONFLICT DO NOTHING RETURNING exchange, trade_id, traded_on",
            [list(column) for column in columns],
        )
        return [offered[row] for row in added]

    def list_fills(self, block_id: UUID) -> list[Fill]:
        rows = self.all(f"SELECT {_FILL} FROM fills WHERE block_id = %s ORDER BY seq", [block_id])  # noqa: S608
        return [Fill(*row) for row in rows]

    def find_fill(self, account_id: str, exchange: str, trade_id: str) -> Fill | None:
        row = self.find(
            f"SELECT {_FILL} FROM fills"  # noqa: S608 - our columns
            " WHERE account_id = %s AND exchange = %s AND trade_id = %s ORDER BY traded_on DESC LIMIT 1",
            [account_id, exchange, trade_id],
        )
        return None if row is None else Fill(*row)

    def note_stranger(self, account_id: str, order_id: str, instrument: str, at: datetime) -> bool:
        inserted = self.count(
            "INSERT INTO strangers (account_id, order_id, instrument, seen_at) VALUES (%s, %s, %s, %s)"
            " ON CONFLICT DO NOTHING",
            [account_id, order_id, instrument, at],
        )
        return inserted > 0


def _intent(row: tuple[Any, ...]) -> Intent:
    intent_id, block_id, account_id, attempt, tag, quantity, state, *rest = row
    return Intent(intent_id, block_id, account_id, attempt, tag, quantity, IntentState(state), *rest)


def _order(row: tuple[Any, ...]) -> BrokerOrder:
    (
        account_id, order_id, intent_id, block_id, quantity, placed_on, filled, traded, value, status, ended, message,
        modifications, cut_to, cut_at,
    ) = row  # fmt: skip
    return BrokerOrder(
        account_id, order_id, intent_id, block_id, quantity, placed_on, filled, traded, value, status,
        None if ended is None else OrderEnd(ended), message, modifications, cut_to, cut_at,
    )  # fmt: skip
