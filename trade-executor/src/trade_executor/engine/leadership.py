"""The right to act for an account: a lease in database time, and a deadline of this process's own monotonic clock.

A successor takes over only after the lease and then a whole HTTP timeout have passed, so a call that left just before
our deadline has been answered or given up by then. What remains is a process stopped between the last check and the
socket write; its order is found by tag.
"""

import threading
from uuid import UUID

from saras_common.clock import Clock
from trade_executor.broker import NotAllowed
from trade_executor.domain import Lease
from trade_executor.store import LeaseLost, Transactions


class Leadership:
    """Acquires, renews and gives up one account's lease. Safe to use from the renewing thread and the working one."""

    def __init__(
        self, account_id: str, holder: UUID, transactions: Transactions, clock: Clock, *, ttl_s: float, grace_s: float
    ) -> None:
        self.account_id = account_id
        self._holder = holder
        self._transactions = transactions
        self._clock = clock
        self.ttl_s = ttl_s
        self._grace_s = grace_s
        self._lock = threading.Lock()
        self._lease: Lease | None = None

    @property
    def lease(self) -> Lease | None:
        """The lease while it is surely ours."""
        lease = self._lease
        return lease if lease is not None and self._clock.monotonic() < lease.deadline else None

    def acquire(self) -> Lease | None:
        """Take the lease if nobody holds it."""
        asked = self._clock.monotonic()
        with self._transactions() as store:
            store.ensure_account(self.account_id)
            epoch = store.acquire_lease(self.account_id, self._holder, self.ttl_s, self._grace_s)
        if epoch is None:
            return None
        with self._lock:
            self._lease = Lease(self.account_id, self._holder, epoch, asked + self.ttl_s)
        return self.lease

    def renew(self) -> bool:
        """Extend the lease; false when it is lost."""
        lease = self.lease
        if lease is None:
            return False
        asked = self._clock.monotonic()
        with self._transactions() as store:
            kept = store.renew_lease(self.account_id, self._holder, lease.epoch, self.ttl_s)
        with self._lock:
            if not kept:
                self._lease = None
            elif self._lease is not None and self._lease.epoch == lease.epoch:
                self._lease = Lease(self.account_id, self._holder, lease.epoch, asked + self.ttl_s)
        return kept

    def lose(self) -> None:
        """Stop leading at once, without telling anybody."""
        with self._lock:
            self._lease = None

    def release(self) -> None:
        """Let a successor start at once: nothing of ours is on its way."""
        lease = self._lease
        self.lose()
        if lease is not None:
            with self._transactions() as store:
                store.release_lease(self.account_id, self._holder, lease.epoch, self._grace_s)

    def get_lease(self) -> Lease:
        """The lease, or `LeaseLost`."""
        lease = self.lease
        if lease is None:
            raise LeaseLost
        return lease

    def guard(self) -> None:
        """Right before bytes leave: `NotAllowed` unless we still lead."""
        if self.lease is None:
            raise NotAllowed("the lease is over")
