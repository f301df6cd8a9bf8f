"""Closing windows and planning their blocks: the pre-trade statement is fixed here."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from saras_common.clock import trading_day
from saras_common.events import OrderProgressed
from saras_common.ids import NewId
from trade_executor.core import blocks, windows
from trade_executor.core.intents import tag_of
from trade_executor.core.windows import Hours, WindowRules
from trade_executor.domain import Batch, BatchState, Intent
from trade_executor.store import Store

CREDIT_DAYS = 14
"""Credits not touched for so many days (about ten sessions) have expired."""


def close_due(store: Store, account_id: str, *, now: datetime, rules: WindowRules, hours: Hours) -> datetime | None:
    """Close the account's window if it is time; the instant an open one will close by itself, for waking up."""
    wake_at = None
    for batch in store.list_batches(account_id, BatchState.OPEN):
        reason = windows.find_close_reason(batch.opened_at, batch.user_orders, now, rules, hours)
        if reason is not None:
            store.close_batch(batch.id, reason, now)
        elif batch.user_orders:
            wake_at = windows.closes_at(batch.opened_at, rules, hours)
    return wake_at


def close_now(store: Store, account_id: str, *, now: datetime) -> UUID | None:
    """The manual trade trigger: close the open window; its id, or ``None`` when no order waits."""
    for batch in store.list_batches(account_id, BatchState.OPEN):
        if batch.user_orders and store.close_batch(batch.id, "manual", now):
            store.wake(account_id)
            return batch.id
    return None


def plan_batches(store: Store, account_id: str, *, now: datetime, new_id: NewId) -> list[UUID]:
    """Make blocks and intents of every closed window; the windows planned."""
    planned = []
    for batch in store.list_batches(account_id, BatchState.CLOSED):
        plan_batch(store, batch, now=now, new_id=new_id)
        planned.append(batch.id)
    return planned


def plan_batch(store: Store, batch: Batch, *, now: datetime, new_id: NewId) -> None:
    """Group a window's orders into blocks, one broker order each, and tell those kept out."""
    account = store.get_account(batch.account_id)
    groups = store.list_groups(batch.id)
    marks = store.find_marks({key.instrument for key, _ in groups})
    today = trading_day(now)
    plan = blocks.plan(
        batch,
        groups,
        marks=marks,
        blocked=account.blocked,
        owed=store.find_credits(batch.id, today - timedelta(days=CREDIT_DAYS)),
        new_id=new_id,
    )
    saved = 0
    for block, statement in plan.blocks:
        store.add_block(block, statement)
        store.add_intent(Intent(new_id(), block.id, account.id, 1, tag_of(block.id, 1), block.quantity))
        saved += blocks.individual_charges(
            block.key, statement.wanted, marks.get(block.key.instrument) or block.key.price_paise or 0, today
        )
    for reason, order_ids in plan.refused.items():
        store.end_demands(order_ids)
        store.emit([refusal(order_ids, reason, batch.id, now)])
    ended = not plan.blocks
    store.save_batch(
        replace(
            batch,
            state=BatchState.DONE if ended else BatchState.WORKING,
            finished_at=now if ended else None,
            user_orders=sum(len(statement) for _, statement in groups),
            saved_paise=saved,
        )
    )


def refusal(order_ids: tuple[UUID, ...], reason: str, batch_id: UUID, now: datetime) -> OrderProgressed:
    """Orders kept out of a window's blocks."""
    return OrderProgressed(at=now, order_ids=list(order_ids), status="REJECTED", reason=reason, batch_id=batch_id)
