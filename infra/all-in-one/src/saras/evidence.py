"""Evidence kept outside the database: what the audit log and the certificates held, line by line, chained and on disk.

Rows carry a seal only their service can make (a key the database does not know). The witness reads what is new, checks
its seal, and adds a line with the row's digest and the previous line's hash to a file in the home, flushed to the disk.
Who has only the database, even as its superuser, can then neither make a row, nor change one, nor take one away unseen;
a row no older than a second or so, not witnessed yet, can be taken away. `check_evidence` reads, and never writes.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from saras_common.jsonio import digest_of
from trade_executor.core.certificates import GENESIS, verify

FILE = "evidence.chain"
EVERY_S = 1.0
LATE = timedelta(minutes=5)
"""A transaction that writes evidence ends within this."""

UNSEALED = "unsealed"
"""Instead of a seal's verdict on rows older than seals are."""

_AUDIT = text(
    "SELECT id, at, kind, user_id, actor_id, address, request_id, detail, seal FROM user_service.audit"
    " WHERE id >= :after AND NOT id = ANY (CAST(:but AS uuid[])) ORDER BY id"
)
_CERTIFICATES = text(
    "SELECT account_id, number, batch_id, block_id, hash, document, seal FROM trade_executor.certificates"
    " ORDER BY account_id, number"
)
_NEW_CERTIFICATES = text(
    "SELECT c.account_id, c.number, c.batch_id, c.block_id, c.hash, c.document, c.seal"
    " FROM trade_executor.accounts AS a LEFT JOIN unnest(CAST(:accounts AS text[]), CAST(:numbers AS bigint[]))"
    " AS seen (account_id, number) ON seen.account_id = a.id"
    " JOIN trade_executor.certificates AS c ON c.account_id = a.id AND c.number > coalesce(seen.number, 0)"
    " ORDER BY c.account_id, c.number"
)


class Evidence(NamedTuple):
    """One row: where it is from, its name there, its digest (seal included), whether its seal is genuine."""

    source: str
    name: str
    digest: str
    verdict: bool | None
    """``None`` when it carries no seal."""


@dataclass(frozen=True, slots=True)
class Seals:
    """How seals are judged: of an audit row by its digest, of a certificate by its hash and account."""

    audit: Callable[[str, bytes], bool]
    certificate: Callable[[str, str, bytes], bool]


Readings = Callable[[], AbstractContextManager[Session]]
"""Opens a transaction that sees every row of one schema."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where evidence is read."""

    people: Readings
    executor: Readings
    seals: Seals

    def audit(self, after: UUID, but: Sequence[str] = ()) -> Iterator[Evidence]:
        """Audit rows with ids from ``after`` on (UUIDv7: made no earlier), without those named in ``but``."""
        with self.people() as session:
            for row in session.execute(_AUDIT, {"after": after, "but": list(but)}).mappings():
                fields = {name: value for name, value in row.items() if name != "seal"}
                digest = digest_of(fields)
                verdict = None if row["seal"] is None else self.seals.audit(digest, bytes(row["seal"]))
                yield Evidence("audit", str(row["id"]), _with_seal(digest, row["seal"]), verdict)

    def certificates(self, after: Mapping[str, int] | None = None) -> Iterator[tuple[Evidence, dict[str, Any], str]]:
        """Certificates with their documents and the hash of their column; of each account those after a number."""
        with self.executor() as session:
            if after:
                seen = {"accounts": list(after), "numbers": list(after.values())}
                rows = session.execute(_NEW_CERTIFICATES, seen)
            else:
                rows = session.execute(_CERTIFICATES)
            for row in rows.mappings():
                fields = {
                    name: row[name] for name in ("account_id", "number", "batch_id", "block_id", "hash", "document")
                }
                seal, name = row["seal"], f"{row['account_id']} {row['number']}"
                verdict = None if seal is None else self.seals.certificate(row["hash"], row["account_id"], bytes(seal))
                yield (
                    Evidence("certificate", name, _with_seal(digest_of(fields), seal), verdict),
                    row["document"],
                    row["hash"],
                )


def _with_seal(digest: str, seal: Any) -> str:
    return hashlib.sha256(digest.encode() + (b"" if seal is None else bytes(seal))).hexdigest()


# --- the file


class Line(NamedTuple):
    """What the witness saw."""

    source: str
    name: str
    digest: str
    hash: str


def _hash_of(previous: str, source: str, name: str, digest: str) -> str:
    return hashlib.sha256(f"{previous}\n{source}\n{name}\n{digest}".encode()).hexdigest()


def read_chain(path: Path) -> list[Line]:
    """Every line; ``ValueError`` when the chain is broken. A last line cut short by a crash is not there."""
    if not path.exists():
        return []
    lines, previous = [], GENESIS
    for number, written in enumerate(path.read_text().splitlines(keepends=True)):
        if not written.endswith("\n"):
            break
        line = Line(*json.loads(written))
        if line.hash != _hash_of(previous, line.source, line.name, line.digest):
            raise ValueError(f"line {number + 1} of {path.name} does not follow from the one before")
        previous = line.hash
        lines.append(line)
    return lines


def _cut_torn_line(path: Path) -> None:
    """Take away what a crash left of a last line."""
    if path.exists():
        content = path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(path, whole)


@dataclass
class Witness:
    """Adds what is new to the file. One a home."""

    path: Path
    sources: Sources
    refused: list[str] = field(default_factory=list)
    """Rows without a genuine seal: never witnessed."""

    def __post_init__(self) -> None:
        _cut_torn_line(self.path)
        lines = read_chain(self.path)
        self._is_first = not lines
        self._known = {(line.source, line.name) for line in lines}
        self._head = lines[-1].hash if lines else GENESIS
        self._newest = UUID(int=0)
        self._late: list[str] = []
        self._numbers: dict[str, int] = {}
        self._remember([(line.source, line.name) for line in lines])

    def look(self) -> int:
        """Witness what is new; how many rows. The lines are on the disk when this returns.

        Its cost is that of what is new, whatever there is already.
        """
        audit = self.sources.audit(_before(self._newest), self._late)
        found = [*audit, *(row for row, _, _ in self.sources.certificates(self._numbers))]
        fresh = [row for row in found if (row.source, row.name) not in self._known]
        genuine = [row for row in fresh if row.verdict or (row.verdict is None and self._is_first)]
        self.refused = [f"{row.source} {row.name} has no genuine seal" for row in fresh if row not in genuine]
        if genuine:
            self._write(genuine)
        self._is_first = False
        return len(genuine)

    def _write(self, rows: Iterable[Evidence]) -> None:
        written, head, names = [], self._head, []
        for row in rows:
            head = _hash_of(head, row.source, row.name, row.digest)
            written.append(json.dumps([row.source, row.name, row.digest, head]) + "\n")
            names.append((row.source, row.name))
        with self.path.open("a") as file:
            file.write("".join(written))
            file.flush()
            os.fsync(file.fileno())
        self._head = head
        self._known.update(names)
        self._remember(names)

    def _remember(self, names: Sequence[tuple[str, str]]) -> None:
        """Where to look on: after the newest audit row, but for late ones; after the numbers without a gap."""
        audit = [name for source, name in names if source == "audit"]
        self._newest = max([self._newest, *map(UUID, audit)])
        self._late = [name for name in self._late + audit if UUID(name) >= _before(self._newest)]
        for account in {name.rpartition(" ")[0] for source, name in names if source == "certificate"}:
            number = self._numbers.get(account, 0)
            while ("certificate", f"{account} {number + 1}") in self._known:
                number += 1
            self._numbers[account] = number


def _before(newest: UUID) -> UUID:
    """The least id a transaction still open when ``newest`` was made can bring."""
    milliseconds = max(0, (newest.int >> 80) - int(LATE.total_seconds() * 1000))
    return UUID(int=milliseconds << 80)


# --- the verifier


def check_evidence(path: Path, sources: Sources, *, now: datetime) -> list[str]:
    """What does not agree: seals, certificates recomputed and chained, rows and lines one for one."""
    try:
        lines = read_chain(path)
    except ValueError as error:
        return [str(error)]
    wrong: list[str] = []
    certificates = list(sources.certificates())
    rows = {(row.source, row.name): row for row in [*sources.audit(UUID(int=0)), *(row for row, _, _ in certificates)]}
    witnessed = {(line.source, line.name): line for line in lines}
    wrong += [f"{row.source} {row.name}: the seal is not ours" for row in rows.values() if row.verdict is False]
    for key, line in witnessed.items():
        if key not in rows:
            wrong.append(f"{line.source} {line.name}: gone")
        elif rows[key].digest != line.digest:
            wrong.append(f"{line.source} {line.name}: changed")
    for key, row in rows.items():
        if key not in witnessed and (row.verdict is None or not _is_recent(row, now)):
            wrong.append(f"{row.source} {row.name}: nobody saw it come")
    return wrong + _check_certificates(certificates)


def _is_recent(row: Evidence, now: datetime) -> bool:
    """Whether an unwitnessed row may only be too new; certificates follow the audit's clock and are never excused."""
    if row.source != "audit":
        return True
    made_at = (UUID(row.name).int >> 80) / 1000
    return now.timestamp() - made_at < LATE.total_seconds()


def _check_certificates(certificates: list[tuple[Evidence, dict[str, Any], str]]) -> list[str]:
    wrong, previous = [], dict[str, str]()
    for row, document, hash_ in certificates:
        account, _, number = row.name.rpartition(" ")
        if document.get("hash") != hash_ or document.get("previous_hash") != previous.get(account, GENESIS):
            wrong.append(f"certificate {account} {number}: the chain is broken")
        wrong += [f"certificate {account} {number}: {what}" for what in verify(document)]
        previous[account] = hash_
    return wrong
