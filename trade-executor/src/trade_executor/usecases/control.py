"""What an administrator turns: the kill switch, stopped instruments, the broker's login."""

from collections.abc import Sequence
from datetime import datetime

from saras_common.events import ExecutionStateChanged, InstrumentsBlocked
from saras_common.ids import NewId
from trade_executor.core.intents import tag_of
from trade_executor.domain import Intent
from trade_executor.store import Store


def halt(store: Store, account_id: str, reason: str, *, now: datetime) -> None:
    """Nothing more is sent for the account, across restarts, until `resume`; cancellations still are."""
    if store.set_halt(account_id, reason):
        store.emit([ExecutionStateChanged(at=now, account_id=account_id, state="halted", reason=reason)])
    store.wake(account_id)


def resume(store: Store, account_id: str, *, now: datetime) -> None:
    """Undo `halt`."""
    if store.set_halt(account_id, None):
        store.emit([ExecutionStateChanged(at=now, account_id=account_id, state="resumed")])
    store.wake(account_id)


def block_buys(store: Store, account_id: str, instruments: Sequence[str], *, now: datetime) -> None:
    """Stop buys of these instruments until an administrator has looked."""
    changed = store.set_blocked(account_id, instruments, True)
    if changed:
        store.emit([InstrumentsBlocked(at=now, account_id=account_id, instruments=changed, blocked=True)])


def clear_buys(store: Store, account_id: str, instruments: Sequence[str], *, now: datetime) -> list[str]:
    """Allow them again; those that were stopped. What is in suspense stays there."""
    changed = store.set_blocked(account_id, instruments, False)
    if changed:
        store.emit([InstrumentsBlocked(at=now, account_id=account_id, instruments=changed, blocked=False)])
    store.wake(account_id)
    return changed


def log_in(store: Store, account_id: str, sealed_token: bytes, *, expires_at: datetime, now: datetime) -> int:
    """Keep the day's broker session; its version."""
    store.ensure_account(account_id)
    version = store.save_session(account_id, sealed_token, expires_at)
    store.emit([ExecutionStateChanged(at=now, account_id=account_id, state="logged_in")])
    store.wake(account_id)
    return version


def plan_again(store: Store, given_up: Intent, quantities: Sequence[int] = (), *, new_id: NewId) -> None:
    """New attempts, each under a new tag, for an order that was never placed: one as large, or the ``quantities``."""
    block_id, account_id = given_up.block_id, given_up.account_id
    first = 1 + max(other.attempt for other in store.list_intents(block_id))
    for attempt, quantity in enumerate(quantities or [given_up.quantity], first):
        store.add_intent(Intent(new_id(), block_id, account_id, attempt, tag_of(block_id, attempt), quantity))
