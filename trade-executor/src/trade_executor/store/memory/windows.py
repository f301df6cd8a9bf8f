"""Windows and the orders in them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from saras_common.events import OrderAccepted
from trade_executor.core.blocks import Group, group
from trade_executor.domain import (
    Batch,
    BatchState,
    CancelRequest,
    Demand,
)
from trade_executor.store.memory.tables import Tables


class WindowTables(Tables):
    """See `trade_executor.store`."""

    def open_batch(self, account_id: str, make: Callable[[], Batch]) -> Batch:
        found = self.list_batches(account_id, BatchState.OPEN)
        if found:
            return found[0]
        batch = make()
        self.add_batch(batch)
        return batch

    def add_batch(self, batch: Batch) -> None:
        self._put("batches", batch.id, batch)

    def list_batches(self, account_id: str, state: BatchState) -> list[Batch]:
        return [
            batch for batch in self._rows("batches").values() if batch.account_id == account_id and batch.state is state
        ]

    def get_batch(self, batch_id: UUID) -> Batch:
        batch: Batch = self._rows("batches")[batch_id]
        return batch

    def close_batch(self, batch_id: UUID, reason: str, at: datetime) -> bool:
        batch = self.get_batch(batch_id)
        if batch.state is not BatchState.OPEN:
            return False
        self.save_batch(replace(batch, state=BatchState.CLOSED, reason=reason, closed_at=at))
        return True

    def save_batch(self, batch: Batch) -> None:
        self._put("batches", batch.id, batch)

    def count_orders(self, batch_id: UUID, change: int) -> None:
        batch = self.get_batch(batch_id)
        self._put("batches", batch_id, replace(batch, user_orders=batch.user_orders + change))

    def add_demands(self, batch_id: UUID, orders: Sequence[OrderAccepted]) -> list[UUID]:
        rows = self._rows("demands")
        added = []
        for order in orders:
            if order.order_id in rows:
                continue
            demand = Demand(
                order.order_id,
                order.user_id,
                order.account_id,
                batch_id,
                order.instrument,
                order.side,
                order.order_type,
                order.product,
                order.validity,
                order.quantity,
                order.price_paise,
                order.trigger_price_paise,
                order.cap_price_paise,
                order.house,
                len(rows),
            )
            self._put("demands", order.order_id, demand)
            added.append(order.order_id)
        return added

    def list_groups(self, batch_id: UUID) -> list[Group]:
        return group(self._demands(batch_id))

    def _demands(self, batch_id: UUID) -> list[Demand]:
        ended = self._rows("ended")
        return [
            demand
            for demand in self._rows("demands").values()
            if demand.batch_id == batch_id and demand.order_id not in ended
        ]

    def end_demands(self, order_ids: Sequence[UUID]) -> None:
        for order_id in order_ids:
            self._put("ended", order_id, True)

    def request_cancels(self, order_ids: Sequence[UUID]) -> None:
        for order_id in order_ids:
            if order_id not in self._rows("cancels"):
                self._put("cancels", order_id, False)

    def list_cancel_requests(self, account_id: str) -> list[CancelRequest]:
        demands = self._rows("demands")
        return [
            CancelRequest(demands[order_id], self.get_batch(demands[order_id].batch_id).state)
            for order_id, handled in self._rows("cancels").items()
            if not handled and order_id in demands and demands[order_id].account_id == account_id
        ]

    def handled_cancels(self, order_ids: Sequence[UUID]) -> None:
        for order_id in order_ids:
            self._put("cancels", order_id, True)
