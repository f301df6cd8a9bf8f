"""Totals, certificates, movements, reconciliations."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from saras_common.events import BookTotalled
from trade_executor.domain import Movement, Reconciliation
from trade_executor.store.postgres.accounts import json_bytes
from trade_executor.store.postgres.statements import Statements

Seal = Callable[[str, str], bytes]
"""Of a text and the account it belongs to, what only we can make."""

_RECONCILIATION = "SELECT id, account_id, at, figures, book, report, finished_at FROM reconciliations"


class EvidenceQueries(Statements):
    """See `trade_executor.store.Evidence`."""

    seal: Seal | None = None
    """How certificates are sealed."""

    def add_to_totals(self, account_id: str, instrument: str, shares: int, cash_paise: int) -> None:
        self.run(
            "INSERT INTO totals AS t (account_id, instrument, shares, cash_paise) VALUES (%s, %s, %s, %s)"
            " ON CONFLICT (account_id, instrument) DO UPDATE SET shares = t.shares + excluded.shares,"
            " cash_paise = t.cash_paise + excluded.cash_paise",
            [account_id, instrument, shares, cash_paise],
        )

    def list_totals(self, account_id: str) -> tuple[dict[str, int], int]:
        rows = self.all("SELECT instrument, shares, cash_paise FROM totals WHERE account_id = %s", [account_id])
        return {row[0]: row[1] for row in rows}, sum(row[2] for row in rows)

    def find_last_certificate_hash(self, account_id: str) -> str | None:
        self.get("SELECT 1 FROM accounts WHERE id = %s FOR UPDATE", [account_id])
        row = self.find(
            "SELECT hash FROM certificates WHERE account_id = %s ORDER BY number DESC LIMIT 1", [account_id]
        )
        return None if row is None else row[0]

    def add_certificate(self, account_id: str, batch_id: UUID, block_id: UUID, document: Mapping[str, Any]) -> None:
        self.run(
            "INSERT INTO certificates (account_id, number, batch_id, block_id, hash, document, seal)"
            " SELECT %(account)s, coalesce(max(number), 0) + 1, %(batch)s, %(block)s, %(hash)s, %(document)s::json,"
            " %(seal)s"
            " FROM certificates WHERE account_id = %(account)s",
            {
                "account": account_id,
                "batch": batch_id,
                "block": block_id,
                "hash": document["hash"],
                "document": json_bytes(document),
                "seal": None if self.seal is None else self.seal(document["hash"], account_id),
            },
        )

    def add_movements(self, movements: Sequence[Movement]) -> None:
        self.run(
            "INSERT INTO movements (id, account_id, amount_paise)"
            " SELECT * FROM unnest(%s::uuid[], %s::text[], %s::bigint[]) ON CONFLICT DO NOTHING",
            [
                [movement.id for movement in movements],
                [movement.account_id for movement in movements],
                [movement.amount_paise for movement in movements],
            ],
        )

    def group_unmirrored(self, account_id: str) -> tuple[str, int] | None:
        row = self.find(
            "SELECT reference FROM movements WHERE account_id = %s AND NOT mirrored AND reference IS NOT NULL LIMIT 1",
            [account_id],
        )
        if row is None:
            row = self.find(
                "UPDATE movements SET reference = (SELECT min(id::text) FROM movements WHERE account_id = %(account)s"
                " AND NOT mirrored) WHERE account_id = %(account)s AND NOT mirrored RETURNING reference",
                {"account": account_id},
            )
        if row is None:
            return None
        amount = self.get(
            "SELECT sum(amount_paise)::bigint FROM movements WHERE account_id = %s AND NOT mirrored AND reference = %s",
            [account_id, row[0]],
        )
        return row[0], amount[0]

    def mirrored(self, reference: str) -> None:
        self.run(
            "WITH done AS (UPDATE movements SET mirrored = true WHERE reference = %s AND NOT mirrored"
            " RETURNING account_id, amount_paise), sums AS (SELECT account_id, sum(amount_paise)::bigint AS amount"
            " FROM done GROUP BY account_id) UPDATE accounts SET mirrored_paise = mirrored_paise + sums.amount"
            " FROM sums WHERE accounts.id = sums.account_id",
            [reference],
        )

    def mirrored_cash(self, account_id: str) -> int:
        return int(self.get("SELECT mirrored_paise FROM accounts WHERE id = %s", [account_id])[0])

    def add_reconciliation(self, reconciliation: Reconciliation) -> None:
        self.run(
            "INSERT INTO reconciliations (id, account_id, at, figures) VALUES (%s, %s, %s, %s)",
            [
                reconciliation.id,
                reconciliation.account_id,
                reconciliation.at,
                Jsonb(dict(reconciliation.figures)),
            ],
        )

    def save_reconciliation(self, reconciliation: Reconciliation) -> None:
        report = reconciliation.report
        self.run(
            "UPDATE reconciliations SET report = %s, finished_at = %s WHERE id = %s",
            [None if report is None else Jsonb(dict(report)), reconciliation.finished_at, reconciliation.id],
        )

    def get_reconciliation(self, reconciliation_id: UUID) -> Reconciliation:
        return Reconciliation(*self.get(_RECONCILIATION + " WHERE id = %s", [reconciliation_id]))

    def find_last_reconciliation(self, account_id: str) -> Reconciliation | None:
        row = self.find(
            _RECONCILIATION
            + " WHERE account_id = %s AND finished_at IS NOT NULL ORDER BY finished_at DESC, id DESC LIMIT 1",
            [account_id],
        )
        return None if row is None else Reconciliation(*row)

    def answer_reconciliation(self, totals: BookTotalled) -> None:
        book = totals.model_dump(mode="json", exclude={"id", "at", "request_id"})
        self.run(
            "UPDATE reconciliations SET book = %s WHERE id = %s AND finished_at IS NULL",
            [Jsonb(book), totals.reconciliation_id],
        )

    def list_answered(self, account_id: str) -> list[Reconciliation]:
        rows = self.all(
            _RECONCILIATION + " WHERE account_id = %s AND finished_at IS NULL AND book IS NOT NULL ORDER BY id",
            [account_id],
        )
        return [Reconciliation(*row) for row in rows]

    def request_reconciliation(self, account_id: str) -> None:
        self.run("UPDATE accounts SET reconcile_requested = true WHERE id = %s", [account_id])

    def take_reconciliation_request(self, account_id: str) -> bool:
        taken = self.count(
            "UPDATE accounts SET reconcile_requested = false WHERE id = %s AND reconcile_requested", [account_id]
        )
        return taken > 0
