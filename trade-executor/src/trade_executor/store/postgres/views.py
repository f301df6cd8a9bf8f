"""What the administrator's pages read."""

from typing import Any
from uuid import UUID

from trade_executor.domain import Batch
from trade_executor.store.postgres.statements import Statements
from trade_executor.store.postgres.windows import batch_of

_BATCH = (
    "SELECT id, account_id, state, opened_at, user_orders, reason, closed_at, finished_at, broker_orders, saved_paise"
    " FROM batches"
)


class ViewQueries(Statements):
    """Reads without locks."""

    def list_latest_batches(self, before: UUID | None, limit: int) -> list[Batch]:
        """Windows, latest first, after the one named."""
        if before is None:
            return [batch_of(row) for row in self.all(_BATCH + " ORDER BY id DESC LIMIT %s", [limit])]
        rows = self.all(_BATCH + " WHERE id < %s ORDER BY id DESC LIMIT %s", [before, limit])
        return [batch_of(row) for row in rows]

    def find_batch(self, batch_id: UUID) -> Batch | None:
        row = self.find(_BATCH + " WHERE id = %s", [batch_id])
        return None if row is None else batch_of(row)

    def list_broker_order_ids(self, batch_id: UUID) -> dict[UUID, list[str]]:
        """Ids of the broker orders of a window, by block."""
        rows = self.all(
            "SELECT o.block_id, o.broker_order_id FROM broker_orders o JOIN blocks b ON b.id = o.block_id"
            " WHERE b.batch_id = %s ORDER BY o.broker_order_id",
            [batch_id],
        )
        found: dict[UUID, list[str]] = {}
        for block_id, order_id in rows:
            found.setdefault(block_id, []).append(order_id)
        return found

    def list_certificates(self, batch_id: UUID) -> list[dict[str, Any]]:
        """Certificates of a window's blocks, in chain order."""
        rows = self.all("SELECT document FROM certificates WHERE batch_id = %s ORDER BY number", [batch_id])
        return [row[0] for row in rows]

    def find_intent_id(self, tag: str) -> UUID | None:
        """The intent that carries a tag."""
        row = self.find("SELECT id FROM intents WHERE tag = %s", [tag])
        return None if row is None else row[0]

    def count_states(self, account_id: str) -> dict[str, int]:
        """Intents that are not finished, by state."""
        rows = self.all(
            "SELECT state, count(*) FROM intents WHERE account_id = %s"
            " AND state IN ('PLANNED', 'SENDING', 'UNKNOWN', 'OPERATOR', 'ABSENT_CONFIRMED') GROUP BY state",
            [account_id],
        )
        return {row[0]: row[1] for row in rows}

    def find_idempotent(self, user_id: UUID, key: str) -> tuple[bytes, int, bytes] | None:
        """Fingerprint, status and body of the answer given before."""
        self.run("SELECT pg_advisory_xact_lock(hashtextextended(%s, 7))", [f"{user_id} {key}"])
        row = self.find(
            "SELECT fingerprint, status, body FROM idempotency_keys WHERE user_id = %s AND key = %s", [user_id, key]
        )
        return None if row is None else (bytes(row[0]), row[1], bytes(row[2]))

    def keep_idempotent(self, user_id: UUID, key: str, fingerprint: bytes, status: int, body: bytes) -> None:
        """Remember an answer."""
        self.run(
            "INSERT INTO idempotency_keys (user_id, key, fingerprint, status, body) VALUES (%s, %s, %s, %s, %s)",
            [user_id, key, fingerprint, status, body],
        )
