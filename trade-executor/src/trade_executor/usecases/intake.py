"""Orders, cancellations and deposits as they arrive from the book."""

from collections.abc import Sequence
from datetime import datetime

from saras_common.events import CancelRequested, FundsMoved, OrderAccepted, OrderProgressed
from saras_common.ids import NewId
from trade_executor.core.windows import WindowRules
from trade_executor.domain import Batch, BatchState, Movement
from trade_executor.store import Store


def take_orders(
    store: Store, orders: Sequence[OrderAccepted], *, now: datetime, rules: WindowRules, new_id: NewId
) -> None:
    """Put accepted orders into their account's open window; an order seen before changes nothing."""
    by_account: dict[str, list[OrderAccepted]] = {}
    for order in orders:
        by_account.setdefault(order.account_id, []).append(order)
    for account_id, mine in by_account.items():
        store.ensure_account(account_id)
        groups = [[order] for order in mine] if rules.immediate else [mine]
        for group in groups:
            _take_group(store, account_id, group, now, rules, new_id)
        store.wake(account_id)


def _take_group(
    store: Store, account_id: str, orders: list[OrderAccepted], now: datetime, rules: WindowRules, new_id: NewId
) -> None:
    fresh = Batch(new_id(), account_id, BatchState.OPEN, now)
    batch = store.open_batch(account_id, lambda: fresh)
    added = store.add_demands(batch.id, orders)
    if rules.immediate:
        store.close_batch(batch.id, "immediate", now)
    if not added:
        return
    store.count_orders(batch.id, len(added))
    store.emit([OrderProgressed(at=now, order_ids=added, status="QUEUED", batch_id=batch.id)])


def request_cancels(store: Store, requests: Sequence[CancelRequested]) -> None:
    """Remember who wants the rest of an order cancelled, also when the order itself is still on its way."""
    store.request_cancels([request.order_id for request in requests])
    for account_id in {request.account_id for request in requests}:
        store.wake(account_id)


def take_movements(store: Store, movements: Sequence[FundsMoved]) -> None:
    """Remember deposits and withdrawals until the sandbox account has moved by as much."""
    for account_id in {movement.account_id for movement in movements}:
        store.ensure_account(account_id)
    store.add_movements([Movement(each.movement_id, each.account_id, each.amount_paise) for each in movements])
    for account_id in {movement.account_id for movement in movements}:
        store.wake(account_id)
