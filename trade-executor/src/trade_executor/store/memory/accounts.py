"""Accounts, leases, logins, switches."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from trade_executor.domain import (
    Account,
    BrokerSession,
    Lease,
)
from trade_executor.store import LeaseLost
from trade_executor.store.memory.tables import Tables


class AccountTables(Tables):
    """See `trade_executor.store`."""

    def get_account(self, account_id: str) -> Account:
        account: Account = self._rows("accounts")[account_id]
        session = self.find_session(account_id)
        return replace(account, logged_in=session is not None, session_version=session.version if session else 0)

    def list_accounts(self) -> list[Account]:
        return [self.get_account(account_id) for account_id in self._rows("accounts")]

    def ensure_account(self, account_id: str) -> None:
        if account_id not in self._rows("accounts"):
            self._put("accounts", account_id, Account(account_id))

    def set_halt(self, account_id: str, reason: str | None) -> bool:
        account = self._rows("accounts")[account_id]
        halted = reason is not None
        self._put("accounts", account_id, replace(account, halted=halted, halt_reason=reason))
        return bool(account.halted != halted)

    def set_blocked(self, account_id: str, instruments: Iterable[str], blocked: bool) -> list[str]:
        account = self._rows("accounts")[account_id]
        changed = [name for name in instruments if (name in account.blocked) != blocked]
        names = account.blocked | set(changed) if blocked else account.blocked - set(changed)
        self._put("accounts", account_id, replace(account, blocked=frozenset(names)))
        return changed

    def set_opening(self, account_id: str, cash_paise: int, shares: Mapping[str, int]) -> None:
        if account_id not in self._rows("opening"):
            self._put("opening", account_id, (dict(shares), cash_paise))
            self._put(
                "accounts", account_id, replace(self._rows("accounts")[account_id], opening_cash_paise=cash_paise)
            )

    def acquire_lease(self, account_id: str, holder: UUID, ttl_s: float, grace_s: float) -> int | None:
        now = self._database.clock.now().timestamp()
        before, epoch, until = self._rows("leases").get(account_id, (None, 0, 0.0))
        if before != holder and now < until + grace_s:
            return None
        self._put("leases", account_id, (holder, epoch + 1, now + ttl_s))
        return int(epoch) + 1

    def renew_lease(self, account_id: str, holder: UUID, epoch: int, ttl_s: float) -> bool:
        now = self._database.clock.now().timestamp()
        mine = self._rows("leases").get(account_id, (None, 0, 0.0))
        if mine[:2] != (holder, epoch) or now >= mine[2]:
            return False
        self._put("leases", account_id, (holder, epoch, now + ttl_s))
        return True

    def release_lease(self, account_id: str, holder: UUID, epoch: int, grace_s: float) -> None:
        if self._rows("leases").get(account_id, (None, 0, 0.0))[:2] == (holder, epoch):
            self._put("leases", account_id, (holder, epoch, self._database.clock.now().timestamp() - grace_s))

    def fence(self, lease: Lease) -> None:
        now = self._database.clock.now().timestamp()
        holder, epoch, until = self._rows("leases").get(lease.account_id, (None, 0, 0.0))
        if (holder, epoch) != (lease.holder, lease.epoch) or now >= until:
            raise LeaseLost

    def find_leader(self, account_id: str) -> tuple[UUID, int] | None:
        holder, epoch, until = self._rows("leases").get(account_id, (None, 0, 0.0))
        return (holder, epoch) if until > self._database.clock.now().timestamp() else None

    def save_session(self, account_id: str, sealed_token: bytes, expires_at: datetime) -> int:
        before = self._rows("sessions").get(account_id)
        version = before[0].version + 1 if before else 1
        self._put("sessions", account_id, (BrokerSession(version, sealed_token, expires_at), True))
        return int(version)

    def find_session(self, account_id: str) -> BrokerSession | None:
        session, alive = self._rows("sessions").get(account_id, (None, False))
        return session if alive else None

    def end_session(self, account_id: str, version: int) -> bool:
        session, alive = self._rows("sessions").get(account_id, (None, False))
        if not alive or session.version != version:
            return False
        self._put("sessions", account_id, (session, False))
        return True

    def log_call(self, account_id: str, at: datetime, value_paise: int = 0) -> None:
        self._put("calls", (account_id, len(self._rows("calls"))), (at, value_paise))

    def sum_calls(self, account_id: str, since: datetime) -> int:
        calls = self._rows("calls").items()
        return sum(value for (account, _), (at, value) in calls if account == account_id and at >= since)

    def list_calls(self, account_id: str, since: datetime) -> list[datetime]:
        return [at for (account, _), (at, _) in self._rows("calls").items() if account == account_id and at >= since]
