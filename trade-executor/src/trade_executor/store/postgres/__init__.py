"""The store on PostgreSQL: set-based statements through psycopg on the session's own connection and transaction."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from sqlalchemy.orm import Session

from saras_common.db import Database
from saras_common.events import Event, Message, pack, pack_rows
from saras_common.outbox import SOON, channel_of
from trade_executor.models import SCHEMA
from trade_executor.store.postgres.accounts import AccountQueries
from trade_executor.store.postgres.blocks import BlockQueries
from trade_executor.store.postgres.evidence import EvidenceQueries, Seal
from trade_executor.store.postgres.market import MarketQueries
from trade_executor.store.postgres.orders import OrderQueries
from trade_executor.store.postgres.statements import StatementCache
from trade_executor.store.postgres.views import ViewQueries
from trade_executor.store.postgres.windows import WindowQueries

Told = list[Event] | tuple[type[Event], Sequence[Mapping[str, Any]]]
"""Events, or many of one kind as plain mappings."""


class PostgresStore(
    AccountQueries, WindowQueries, BlockQueries, OrderQueries, EvidenceQueries, MarketQueries, ViewQueries
):
    """One transaction. Events emitted are written in order, in one statement, by ``flush``."""

    def __init__(self, session: Session, kept: StatementCache | None = None) -> None:
        super().__init__(session, kept or StatementCache(0))
        self._told: list[Told] = []
        self._woken: set[str] = set()

    def emit(self, events: Iterable[Event]) -> None:
        self._told.append(list(events))

    def emit_rows(self, cls: type[Event], rows: Sequence[Mapping[str, Any]]) -> None:
        self._told.append((cls, rows))

    def wake(self, account_id: str) -> None:
        self._woken.add(account_id)

    def hint(self, account_id: str) -> None:
        """Tell the account's leader, with the commit, that the broker may have news."""
        self._woken.add(account_id + HINT)

    def flush(self) -> None:
        """Write what was emitted and nudge who was woken; both take effect with the commit."""
        messages = list(_packed(self._told))
        soon = any(not isinstance(part, list) for part in self._told)  # fills, and whose orders work
        self._told = []
        if messages:
            self.run(
                "INSERT INTO outbox (id, type, body, count)"
                " SELECT * FROM unnest(%b::uuid[], %b::text[], %b::bytea[], %b::integer[])",
                [
                    [message.id for message in messages],
                    [message.type for message in messages],
                    [message.body for message in messages],
                    [message.count for message in messages],
                ],
            )
            self.run("SELECT pg_notify(%s, %s)", [channel_of(SCHEMA), SOON if soon else ""])
        for account_id in self._woken:
            self.run("SELECT pg_notify(%s, %s)", [WAKE_CHANNEL, account_id])
        self._woken.clear()


def _packed(told: Sequence[Told]) -> Iterator[Message]:
    """Messages of what was told, in order; single events of one kind next to each other share one."""
    single: list[Event] = []
    for part in told:
        if isinstance(part, list):
            single += part
        else:
            yield from pack(single)
            single = []
            yield from pack_rows(*part)
    yield from pack(single)


WAKE_CHANNEL = "trade_executor_wake"
"""NOTIFY channel of the leaders; the payload is the account."""

KEPT_ORDERS = 200_000
"""Orders whose statements a process remembers."""

HINT = " hint"
"""Ends a notification's payload that says the broker may have news."""

PostgresTransactions = Callable[[], AbstractContextManager[PostgresStore]]


def transactions(database: Database, seal: Seal | None = None) -> PostgresTransactions:
    """Opens transactions that commit on exit; certificates get a seal."""
    kept = StatementCache(KEPT_ORDERS)

    @contextmanager
    def transaction() -> Iterator[PostgresStore]:
        with database.pipelined_for_service() as session:
            store = PostgresStore(session, kept)
            store.seal = seal
            yield store
            store.flush()

    return transaction
