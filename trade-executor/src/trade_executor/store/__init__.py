"""Every query the executor makes, inside one transaction; nothing here commits.

Two implementations: `postgres` for work, `memory` for simulation. The windows' intake may run in other processes than
the leader; everything about blocks, broker orders and fills is written by the leader alone.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction
from typing import Any, Protocol
from uuid import UUID

from saras_common.events import BookTotalled, Event, OrderAccepted
from trade_executor.core.blocks import Group
from trade_executor.core.book import Shares, Statement
from trade_executor.domain import (
    Account,
    Batch,
    BatchState,
    Block,
    BlockKey,
    BrokerOrder,
    BrokerSession,
    CancelRequest,
    Credit,
    Fill,
    Intent,
    Lease,
    Movement,
    Reconciliation,
)


@dataclass(frozen=True, slots=True)
class Book:
    """A block with its statement and shares, read and locked together."""

    block: Block
    statement: Statement
    shares: Shares


class LeaseLost(Exception):
    """Somebody else leads the account, or may by now."""


class Accounts(Protocol):
    """Broker accounts, their leases, logins and switches."""

    def get_account(self, account_id: str) -> Account: ...

    def list_accounts(self) -> list[Account]: ...

    def ensure_account(self, account_id: str) -> None: ...

    def set_halt(self, account_id: str, reason: str | None) -> bool:
        """Halt with a reason, or resume with ``None``; whether that changed anything."""

    def set_blocked(self, account_id: str, instruments: Iterable[str], blocked: bool) -> list[str]:
        """Stop or allow buys; the instruments whose state changed."""

    def set_opening(self, account_id: str, cash_paise: int, shares: Mapping[str, int]) -> None:
        """What the account held before anything of ours; kept once."""

    def acquire_lease(self, account_id: str, holder: UUID, ttl_s: float, grace_s: float) -> int | None:
        """A new epoch if the lease is ours or has been over for ``grace_s``; ``None`` otherwise. Database time."""

    def renew_lease(self, account_id: str, holder: UUID, epoch: int, ttl_s: float) -> bool: ...

    def release_lease(self, account_id: str, holder: UUID, epoch: int, grace_s: float) -> None: ...

    def fence(self, lease: Lease) -> None:
        """`LeaseLost` unless the lease stands; it cannot be taken over before this transaction ends."""

    def find_leader(self, account_id: str) -> tuple[UUID, int] | None:
        """Holder and epoch of a lease that stands now."""

    def save_session(self, account_id: str, sealed_token: bytes, expires_at: datetime) -> int: ...

    def find_session(self, account_id: str) -> BrokerSession | None:
        """The login in force, unless the broker ended it."""

    def end_session(self, account_id: str, version: int) -> bool:
        """The broker no longer takes this login; whether it was the one in force."""

    def log_call(self, account_id: str, at: datetime, value_paise: int = 0) -> None:
        """One order call counted against the broker's limits and ours, whatever becomes of it."""

    def sum_calls(self, account_id: str, since: datetime) -> int:
        """Value of everything sent since, in paise."""

    def list_calls(self, account_id: str, since: datetime) -> list[datetime]: ...


class Windows(Protocol):
    """Orders waiting, and their cancellations."""

    def open_batch(self, account_id: str, make: Callable[[], Batch]) -> Batch:
        """The account's open window, locked; made if there is none."""

    def add_batch(self, batch: Batch) -> None: ...

    def list_batches(self, account_id: str, state: BatchState) -> list[Batch]: ...

    def get_batch(self, batch_id: UUID) -> Batch: ...

    def close_batch(self, batch_id: UUID, reason: str, at: datetime) -> bool:
        """From OPEN to CLOSED; whether it was open."""

    def save_batch(self, batch: Batch) -> None:
        """Write everything but the count of an open window, which only `count_orders` moves."""

    def count_orders(self, batch_id: UUID, change: int) -> None: ...

    def add_demands(self, batch_id: UUID, orders: Sequence[OrderAccepted]) -> list[UUID]:
        """Orders never seen before, in order of arrival."""

    def list_groups(self, batch_id: UUID) -> list[Group]:
        """Those not ended, by what they share."""

    def end_demands(self, order_ids: Sequence[UUID]) -> None:
        """They leave their window before it is planned."""

    def request_cancels(self, order_ids: Sequence[UUID]) -> None: ...

    def list_cancel_requests(self, account_id: str) -> list[CancelRequest]:
        """Requests not handled whose order has arrived."""

    def handled_cancels(self, order_ids: Sequence[UUID]) -> None: ...


class Blocks(Protocol):
    """Blocks, intents, broker orders, fills."""

    def add_block(self, block: Block, statement: Statement) -> None: ...

    def get_book(self, block_id: UUID) -> Book:
        """Locked until the transaction ends."""

    def find_block_id(self, batch_id: UUID, key: BlockKey) -> UUID | None: ...

    def list_working(self, account_id: str) -> list[UUID]:
        """Blocks not done, in the order they were planned."""

    def count_unfinished(self, batch_id: UUID) -> int: ...

    def list_frozen(self, account_id: str) -> list[UUID]:
        """Working blocks with an order asked to be cancelled whose end was not told."""

    def list_contested(self, account_id: str) -> list[UUID]:
        """Working blocks with more than one intent: the only ones that may have too much at the broker unasked."""

    def save_block(self, block: Block) -> None: ...

    def save_shares(self, block_id: UUID, shares: Shares) -> None: ...

    def add_intent(self, intent: Intent) -> None: ...

    def get_intent(self, intent_id: UUID) -> Intent:
        """Locked until the transaction ends."""

    def save_intent(self, intent: Intent) -> None: ...

    def list_intents(self, block_id: UUID) -> list[Intent]: ...

    def list_planned(self, account_id: str) -> list[Intent]:
        """Those waiting to be sent, first planned first."""

    def list_unresolved(self, account_id: str, since: datetime) -> list[Intent]:
        """Intents in doubt, and those declared absent since ``since``."""

    def add_broker_order(self, order: BrokerOrder) -> None: ...

    def save_broker_order(self, order: BrokerOrder) -> None: ...

    def list_broker_orders(self, block_id: UUID) -> list[BrokerOrder]: ...

    def list_unsettled(self, account_id: str) -> list[BrokerOrder]:
        """Orders of working blocks that may still change."""

    def find_broker_orders(self, account_id: str, order_ids: Sequence[str]) -> dict[str, BrokerOrder]: ...

    def add_fills(self, fills: Sequence[Fill]) -> list[Fill]:
        """Those never seen before."""

    def list_fills(self, block_id: UUID) -> list[Fill]:
        """All fills of a block, busts included, in the order they were taken in."""

    def find_fill(self, account_id: str, exchange: str, trade_id: str) -> Fill | None: ...

    def note_stranger(self, account_id: str, order_id: str, instrument: str, at: datetime) -> bool:
        """Remember an order none of ours explains; whether it is new."""

    def claim_dp(self, account_id: str, instrument: str, day: date, block_id: UUID) -> bool:
        """Whether this block carries the day's depository fee of the instrument."""

    def find_credits(self, batch_id: UUID, since: date) -> dict[tuple[str, UUID], Fraction]:
        """Credits touched since, of users with orders in a window, by instrument and user."""

    def save_credits(self, account_id: str, instrument: str, credits_: Sequence[Credit]) -> None: ...


class Evidence(Protocol):
    """Totals, certificates, reconciliations, movements, marks, and what is told."""

    def add_to_totals(self, account_id: str, instrument: str, shares: int, cash_paise: int) -> None:
        """Count a posting, for reconciliation."""

    def list_totals(self, account_id: str) -> tuple[dict[str, int], int]:
        """Net shares by instrument and net cash of all postings."""

    def find_opening(self, account_id: str) -> tuple[dict[str, int], int] | None: ...

    def find_last_certificate_hash(self, account_id: str) -> str | None:
        """Locked: certificates of an account are written one after another."""

    def add_certificate(self, account_id: str, batch_id: UUID, block_id: UUID, document: Mapping[str, Any]) -> None: ...

    def add_movements(self, movements: Sequence[Movement]) -> None: ...

    def group_unmirrored(self, account_id: str) -> tuple[str, int] | None:
        """A reference and the sum of the movements under it, fixed once made; ``None`` when all are mirrored."""

    def mirrored(self, reference: str) -> None: ...

    def mirrored_cash(self, account_id: str) -> int: ...

    def add_reconciliation(self, reconciliation: Reconciliation) -> None: ...

    def save_reconciliation(self, reconciliation: Reconciliation) -> None: ...

    def get_reconciliation(self, reconciliation_id: UUID) -> Reconciliation: ...

    def find_last_reconciliation(self, account_id: str) -> Reconciliation | None:
        """The last one finished."""

    def answer_reconciliation(self, totals: BookTotalled) -> None:
        """Keep the book's answer with the reconciliation that asked."""

    def list_answered(self, account_id: str) -> list[Reconciliation]:
        """Those answered and not finished."""

    def request_reconciliation(self, account_id: str) -> None:
        """Ask the leader for one as soon as it can."""

    def take_reconciliation_request(self, account_id: str) -> bool: ...

    def find_marks(self, instruments: Iterable[str]) -> dict[str, int]:
        """Last prices in paise."""

    def emit(self, events: Iterable[Event]) -> None:
        """Tell the platform, with this transaction, after everything emitted before."""

    def emit_rows(self, cls: type[Event], rows: Sequence[Mapping[str, Any]]) -> None:
        """`emit` for events of many parts, given as plain mappings."""

    def wake(self, account_id: str) -> None:
        """Nudge the account's leader when this transaction commits."""


class Store(Accounts, Windows, Blocks, Evidence, Protocol):
    """One transaction's view of everything."""


Transactions = Callable[[], AbstractContextManager[Store]]
"""Opens a transaction: commits on exit, rolls back on error."""
