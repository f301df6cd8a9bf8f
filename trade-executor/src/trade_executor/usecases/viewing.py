"""What the administrator reads: the state of execution, batches, certificates, the last reconciliation."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from saras_common.errors import NotFound
from saras_common.money import average_price
from trade_executor.core import certificates
from trade_executor.core.book import Shares, Statement
from trade_executor.core.windows import closes_at
from trade_executor.domain import Account, Batch, BatchState, Block
from trade_executor.store.postgres import PostgresStore
from trade_executor.usecases.context import Context

ORDERS_A_SECOND = 10
"""What an account may send; the yardstick of time saved."""


def view_execution(context: Context, store: PostgresStore) -> dict[str, Any]:
    """Every account's state; the main account's again at the top."""
    known = {account.id: account for account in store.list_accounts()}
    accounts = [_account(context, store, known.get(name, Account(name))) for name in context.doors]
    return {
        **accounts[0],
        "mode": context.mode,
        "market_open": context.hours.is_open(context.clock.now()),
        "accounts": accounts,
    }


def _account(context: Context, store: PostgresStore, account: Account) -> dict[str, Any]:
    session = store.find_session(account.id)
    open_batches = store.list_batches(account.id, BatchState.OPEN)
    batch = open_batches[0] if open_batches else None
    leader = store.find_leader(account.id)
    states = store.count_states(account.id)
    waiting = batch.user_orders if batch else 0
    return {
        "id": account.id,
        "broker_session": {
            "state": "login_needed" if session is None else "logged_in",
            "expires_at": None if session is None else session.expires_at,
        },
        "window": {
            "id": batch.id if batch else None,
            "orders": waiting,
            "opened_at": batch.opened_at if batch else None,
            "closes_at": closes_at(batch.opened_at, context.window, context.hours) if batch else None,
        },
        "queue_depth": waiting + states.get("PLANNED", 0),
        "halted": account.halted,
        "halt_reason": account.halt_reason,
        "leader": {"holder": leader[0] if leader else None, "epoch": leader[1] if leader else None},
        "intents": states,
        "blocked_instruments": sorted(account.blocked),
    }


def view_batch(store: PostgresStore, batch: Batch, *, most_orders: int | None = None) -> dict[str, Any]:
    """A window with its blocks and who got what; allocations are left out of one with more than ``most_orders``."""
    order_ids = store.list_broker_order_ids(batch.id)
    blocks = [
        _block(block, statement, shares, order_ids.get(block.id, []))
        for block, statement, shares in store.list_books(batch.id)
    ]
    if most_orders is not None and batch.user_orders > most_orders:
        blocks = [{**block, "allocations": []} for block in blocks]
    return {**summarise(batch), "blocks": blocks}


def get_batch(store: PostgresStore, batch_id: UUID) -> Batch:
    """The window, or `NotFound`."""
    batch = store.find_batch(batch_id)
    if batch is None:
        raise NotFound("No such batch")
    return batch


def summarise(batch: Batch) -> dict[str, Any]:
    """A window without its blocks."""
    sent = batch.state in {BatchState.WORKING, BatchState.DONE}
    fewer = batch.user_orders - batch.broker_orders if sent else 0
    return {
        "id": batch.id,
        "account_id": batch.account_id,
        "status": batch.state.value,
        "reason": batch.reason,
        "opened_at": batch.opened_at,
        "closed_at": batch.closed_at,
        "finished_at": batch.finished_at,
        "user_orders": batch.user_orders,
        "broker_orders": batch.broker_orders,
        "saved": {
            "orders": max(0, fewer),
            "rupees": batch.saved_paise if sent else 0,
            "seconds": max(0, fewer) / ORDERS_A_SECOND,
        },
    }


def _block(block: Block, statement: Statement, shares: Shares, order_ids: list[str]) -> dict[str, Any]:
    credits_ = statement.credits or ["0"] * len(statement)
    return {
        "id": block.id,
        "instrument": block.key.instrument,
        "side": block.key.side,
        "product": block.key.product,
        "order_type": block.key.order_type,
        "status": block.state.value,
        "reason": block.reason,
        "quantity": block.quantity,
        "filled_quantity": block.filled,
        "average_price": average_price(block.value_paise, block.filled),
        "value": block.value_paise,
        "charges": sum(block.charges),
        "broker_order_ids": order_ids,
        "allocations": [
            {
                "order_id": order_id,
                "user_id": user_id,
                "requested": requested,
                "allocated": allocated,
                "credit": str(credit),
            }
            for order_id, user_id, requested, allocated, credit in zip(
                statement.order_ids,
                statement.user_ids,
                statement.wanted.tolist(),
                shares.allocated.tolist(),
                credits_,
                strict=True,
            )
        ],
    }


def view_certificates(store: PostgresStore, batch_id: UUID) -> dict[str, Any]:
    """A window's certificates, each recomputed from its own figures."""
    get_batch(store, batch_id)
    documents = store.list_certificates(batch_id)
    verified = all(not certificates.verify(document) for document in documents)
    return {"batch_id": batch_id, "verified": verified, "certificates": documents}


def view_reconciliation(store: PostgresStore, account_id: str) -> dict[str, Any]:
    """The last reconciliation; nothing compared yet counts as not balanced."""
    last = store.find_last_reconciliation(account_id)
    if last is None or last.report is None:
        empty = dict.fromkeys(("users", "unallocated", "broker", "difference"), 0)
        return {"balanced": False, "at": None, "instruments": [], "cash": empty, "account_id": account_id}
    return view_report(last.report, last.at, account_id)


def view_report(report: Mapping[str, Any], at: datetime, account_id: str) -> dict[str, Any]:
    """A report as answered."""
    return {**report, "at": at, "account_id": account_id}
