"""Intents, the broker's orders, fills."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from trade_executor.domain import (
    BrokerOrder,
    Fill,
    Intent,
    IntentState,
)
from trade_executor.store.memory.tables import Tables


class OrderTables(Tables):
    """See `trade_executor.store`."""

    def add_intent(self, intent: Intent) -> None:
        self._put("intents", intent.id, intent)

    def get_intent(self, intent_id: UUID) -> Intent:
        intent: Intent = self._rows("intents")[intent_id]
        return intent

    def save_intent(self, intent: Intent) -> None:
        self._put("intents", intent.id, intent)

    def list_intents(self, block_id: UUID) -> list[Intent]:
        return [intent for intent in self._rows("intents").values() if intent.block_id == block_id]

    def list_planned(self, account_id: str) -> list[Intent]:
        return [
            intent
            for intent in self._rows("intents").values()
            if intent.account_id == account_id and intent.state is IntentState.PLANNED
        ]

    def list_unresolved(self, account_id: str, since: datetime) -> list[Intent]:
        return [
            intent
            for intent in self._rows("intents").values()
            if intent.account_id == account_id
            and (
                intent.state.is_in_doubt
                or (intent.state is IntentState.ABSENT_CONFIRMED and intent.sending_at and intent.sending_at >= since)
            )
        ]

    def add_broker_order(self, order: BrokerOrder) -> None:
        self._put("broker_orders", (order.account_id, order.broker_order_id), order)

    def save_broker_order(self, order: BrokerOrder) -> None:
        self._put("broker_orders", (order.account_id, order.broker_order_id), order)

    def list_broker_orders(self, block_id: UUID) -> list[BrokerOrder]:
        return [order for order in self._rows("broker_orders").values() if order.block_id == block_id]

    def list_unsettled(self, account_id: str) -> list[BrokerOrder]:
        return [
            order
            for order in self._rows("broker_orders").values()
            if order.account_id == account_id and not order.is_settled
        ]

    def find_broker_orders(self, account_id: str, order_ids: Sequence[str]) -> dict[str, BrokerOrder]:
        rows = self._rows("broker_orders")
        return {name: rows[account_id, name] for name in order_ids if (account_id, name) in rows}

    def add_fills(self, fills: Sequence[Fill]) -> list[Fill]:
        added = []
        for fill in fills:
            key = (fill.account_id, fill.exchange, fill.trade_id, fill.traded_on)
            if key not in self._rows("fills"):
                self._put("fills", key, fill)
                added.append(fill)
        return added

    def list_fills(self, block_id: UUID) -> list[Fill]:
        return [fill for fill in self._rows("fills").values() if fill.block_id == block_id]

    def find_fill(self, account_id: str, exchange: str, trade_id: str) -> Fill | None:
        for (account, market, trade, _), fill in self._rows("fills").items():
            if (account, market, trade) == (account_id, exchange, trade_id):
                found: Fill = fill
                return found
        return None

    def note_stranger(self, account_id: str, order_id: str, instrument: str, at: datetime) -> bool:
        if (account_id, order_id) in self._rows("strangers"):
            return False
        self._put("strangers", (account_id, order_id), (instrument, at))
        return True
