"""Totals, certificates, movements, reconciliations, what is told."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from saras_common.events import BookTotalled, Event
from trade_executor.domain import (
    Movement,
    Reconciliation,
)
from trade_executor.store.memory.tables import Tables


class EvidenceTables(Tables):
    """See `trade_executor.store`."""

    def add_to_totals(self, account_id: str, instrument: str, shares: int, cash_paise: int) -> None:
        before = self._rows("totals").get((account_id, instrument), (0, 0))
        self._put("totals", (account_id, instrument), (before[0] + shares, before[1] + cash_paise))

    def list_totals(self, account_id: str) -> tuple[dict[str, int], int]:
        mine = {name: row for (account, name), row in self._rows("totals").items() if account == account_id}
        return {name: row[0] for name, row in mine.items()}, sum(row[1] for row in mine.values())

    def find_opening(self, account_id: str) -> tuple[dict[str, int], int] | None:
        return self._rows("opening").get(account_id)

    def find_last_certificate_hash(self, account_id: str) -> str | None:
        chain = self._chain(account_id)
        return chain[-1]["hash"] if chain else None

    def add_certificate(self, account_id: str, batch_id: UUID, block_id: UUID, document: Mapping[str, Any]) -> None:  # noqa: ARG002 - the document names its block
        number = len(self._chain(account_id)) + 1
        self._put("certificates", (account_id, number), {"batch_id": batch_id, **document})

    def _chain(self, account_id: str) -> list[Mapping[str, Any]]:
        return [row for (account, _), row in self._rows("certificates").items() if account == account_id]

    def add_movements(self, movements: Sequence[Movement]) -> None:
        for movement in movements:
            if movement.id not in self._rows("movements"):
                self._put("movements", movement.id, (movement, None, False))

    def group_unmirrored(self, account_id: str) -> tuple[str, int] | None:
        rows = [row for row in self._rows("movements").values() if row[0].account_id == account_id and not row[2]]
        grouped = [row for row in rows if row[1] is not None] or rows
        if not grouped:
            return None
        reference = grouped[0][1] or str(grouped[0][0].id)
        for movement, _, _ in grouped:
            self._put("movements", movement.id, (movement, reference, False))
        return reference, sum(movement.amount_paise for movement, _, _ in grouped)

    def mirrored(self, reference: str) -> None:
        for movement, mine, _ in list(self._rows("movements").values()):
            if mine == reference:
                self._put("movements", movement.id, (movement, mine, True))

    def mirrored_cash(self, account_id: str) -> int:
        rows = self._rows("movements").values()
        return sum(movement.amount_paise for movement, _, done in rows if done and movement.account_id == account_id)

    def add_reconciliation(self, reconciliation: Reconciliation) -> None:
        self._put("reconciliations", reconciliation.id, reconciliation)

    def save_reconciliation(self, reconciliation: Reconciliation) -> None:
        self._put("reconciliations", reconciliation.id, reconciliation)

    def get_reconciliation(self, reconciliation_id: UUID) -> Reconciliation:
        found: Reconciliation = self._rows("reconciliations")[reconciliation_id]
        return found

    def find_last_reconciliation(self, account_id: str) -> Reconciliation | None:
        mine = [each for each in self._reconciliations(account_id) if each.finished_at]
        return mine[-1] if mine else None

    def answer_reconciliation(self, totals: BookTotalled) -> None:
        asked = self._rows("reconciliations").get(totals.reconciliation_id)
        if asked is not None:
            book = totals.model_dump(mode="json", exclude={"id", "at", "request_id"})
            self._put("reconciliations", asked.id, replace(asked, book=book))

    def list_answered(self, account_id: str) -> list[Reconciliation]:
        return [each for each in self._reconciliations(account_id) if each.book and not each.finished_at]

    def request_reconciliation(self, account_id: str) -> None:
        self._put("reconciliation_requests", account_id, True)

    def take_reconciliation_request(self, account_id: str) -> bool:
        asked = bool(self._rows("reconciliation_requests").get(account_id))
        if asked:
            self._put("reconciliation_requests", account_id, False)
        return asked

    def _reconciliations(self, account_id: str) -> list[Reconciliation]:
        return [each for each in self._rows("reconciliations").values() if each.account_id == account_id]

    def find_marks(self, instruments: Iterable[str]) -> dict[str, int]:
        marks = self._rows("marks")
        return {name: marks[name] for name in instruments if name in marks}

    def emit(self, events: Iterable[Event]) -> None:
        self._database.outbox.extend(events)

    def emit_rows(self, cls: type[Event], rows: Sequence[Mapping[str, Any]]) -> None:
        self.emit(cls.model_validate(row) for row in rows)

    def wake(self, account_id: str) -> None:
        """A simulation steps every leader by itself."""
