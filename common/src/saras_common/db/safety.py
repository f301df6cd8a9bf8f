"""Is a migration safe while the version before it runs? Judged by the SQL it would play.

A release is rolled out process by process, so for a while the old code works on the new schema: a migration may add,
and may not take away, rename or retype what that code reads, nor hold a lock while it works through a table. What is
taken away goes in a later release, in a migration that says so: ``contract = "0.2.0"`` names the release whose code
was the first that no longer needs it.
"""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from saras_common.db.migrating import scripts_of

_NAME = r"(?:[\w\"]+\.)?\"?(?P<table>\w+)\"?"
_TAKES_AWAY = (
    (r"^DROP (TABLE|VIEW|FUNCTION|TRIGGER|POLICY|TYPE|SEQUENCE|SCHEMA|COLUMN)\b", "drops what the old code may use"),
    (r"^ALTER TABLE .*\bDROP (COLUMN\b|(?!NOT NULL|DEFAULT|CONSTRAINT|EXPRESSION|IDENTITY)\w)", "drops a column"),
    (r"^ALTER .*\bRENAME\b", "renames what the old code uses"),
    (r"^ALTER TABLE .*\bALTER (COLUMN )?\S+ (SET DATA )?TYPE\b", "changes a type: the table is locked and rewritten"),
    (r"^ALTER TABLE .*\bSET NOT NULL\b", "forbids NULL, which the old code may write; the table is read under a lock"),
    (r"^REVOKE\b", "takes a right away"),
    (r"^TRUNCATE\b", "empties a table"),
)
"""Allowed once nobody needs it."""

_DIFFERS = r"(gen_random_uuid|uuidv7|random|nextval|clock_timestamp)\b"
_ADDS = r"^ALTER TABLE .*\bADD (COLUMN )?(?!CONSTRAINT)"
_NEVER = (
    (
        rf"{_ADDS}(?![^,]*\bDEFAULT\b)[^,]*\bNOT NULL\b",
        "adds what old code does not fill: NOT NULL needs a DEFAULT",
    ),
    (rf"{_ADDS}[^,]*\b(GENERATED|SERIAL|BIGSERIAL)\b", "rewrites the table under a lock"),
    (rf"{_ADDS}[^,]*\bDEFAULT \(?(\w+\.)?{_DIFFERS}", "a default that differs by row rewrites the table under a lock"),
    (r"^ALTER TABLE .*\bADD CONSTRAINT \S+ (?!.*\bNOT VALID\b)(CHECK|FOREIGN KEY)", "reads the table under a lock"),
    (
        r"^ALTER TABLE .*\bADD CONSTRAINT \S+ (?!.*\bUSING INDEX\b)(UNIQUE|PRIMARY KEY|EXCLUDE)",
        "builds an index under a lock: make it beforehand, then USING INDEX",
    ),
    (r"^ALTER TABLE .*\bSET (LOGGED|UNLOGGED|TABLESPACE|ACCESS METHOD)\b", "rewrites the table under a lock"),
    (r"^(UPDATE|DELETE)\b", "works through a table in one transaction: saras_common.db.backfill does it in batches"),
    (r"^(LOCK|CLUSTER|VACUUM|REINDEX(?!.*CONCURRENTLY))\b", "holds a table"),
    (r"^(CREATE( UNIQUE)?|DROP) INDEX (?!CONCURRENTLY)", "locks a table for an index: saras_common.db.create_index"),
)
"""Wrong in any release, on a table the migration did not make itself."""

_TOUCHES = (
    r"ALTER TABLE (?:IF EXISTS )?(?:ONLY )?",
    r"UPDATE ",
    r"DELETE FROM ",
    r"TRUNCATE (?:TABLE )?",
    r"DROP TABLE (?:IF EXISTS )?",
    r"CREATE (?:UNIQUE )?INDEX \S+ ON (?:ONLY )?",
)
_TABLE = re.compile(rf"^(?:{'|'.join(_TOUCHES)}){_NAME}", re.IGNORECASE)
_MADE = re.compile(rf"^CREATE TABLE (?:IF NOT EXISTS )?{_NAME}", re.IGNORECASE)
_VALIDATES = re.compile(r"^ALTER TABLE .*\bVALIDATE CONSTRAINT (?P<name>\w+)", re.IGNORECASE)
_HURRIES_NOT = re.compile(r"^(SET|RESET) (LOCAL |SESSION )?lock_timeout\b", re.IGNORECASE)
_BESIDE = re.compile(r"\bINDEX CONCURRENTLY\b|^-- until nothing changes", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Migration:
    """One of a package's migrations: its statements, each on one line, and what it says about itself."""

    revision: str
    is_first: bool
    contract: str | None
    statements: tuple[str, ...]

    def faults(self) -> list[str]:
        """What would stop, or break, the version that runs; empty when nothing would."""
        if self.is_first:
            return []
        found = [f"{self.revision}: {why}: {statement[:120]}" for statement, why in self._unsafe()]
        steps = [statement for statement in self.statements if not _HURRIES_NOT.match(statement)]
        if any(_BESIDE.search(statement) for statement in steps):
            if not all(_BESIDE.search(statement) for statement in steps):
                found.append(f"{self.revision}: an index beside the traffic, or a backfill, is a migration of its own")
        elif len(steps) < len(self.statements):
            found.append(f"{self.revision}: sets its own lock_timeout")
        return found

    def _unsafe(self) -> Iterator[tuple[str, str]]:
        made: set[str] = set()
        for statement in self.statements:
            if (match := _VALIDATES.search(statement)) and any(
                f"ADD CONSTRAINT {match['name']} " in earlier for earlier in self.statements
            ):
                yield statement, "reads the table under the lock of what it validates: do that in the next migration"
            if match := _MADE.match(statement):
                made.add(match["table"])
            table = _TABLE.match(statement)
            if table is not None and table["table"] in made:
                continue
            for pattern, why in _NEVER:
                if re.search(pattern, statement, re.IGNORECASE):
                    yield statement, why
            if self.contract is None:
                for pattern, why in _TAKES_AWAY:
                    if re.search(pattern, statement, re.IGNORECASE):
                        yield statement, f'{why}; name the release that stopped needing it: contract = "…"'


def list_migrations(package: str) -> list[Migration]:
    """Every migration of ``package``, the first one first. No database is asked."""
    from alembic.script import ScriptDirectory  # as in `migrating`: for those who ask

    scripts = ScriptDirectory.from_config(scripts_of(package))
    return [
        Migration(
            script.revision,
            script.down_revision is None,
            getattr(script.module, "contract", None),
            tuple(_statements(script.module.upgrade)),
        )
        for script in reversed(list(scripts.walk_revisions()))
    ]


def find_unsafe(package: str) -> list[str]:
    """Faults of all migrations of ``package`` but the first, which nothing runs on yet."""
    return [fault for migration in list_migrations(package) for fault in migration.faults()]


def _statements(upgrade: Any) -> Iterator[str]:
    """What ``upgrade`` would send, statement by statement, in one line each and without comments of ours."""
    from alembic.migration import MigrationContext
    from alembic.operations import Operations

    written = io.StringIO()
    options = {"as_sql": True, "output_buffer": written, "transactional_ddl": False}
    context = MigrationContext.configure(dialect_name="postgresql", opts=options)
    with Operations.context(context):
        upgrade()
    for statement in written.getvalue().split(";\n"):
        line = " ".join(statement.split())
        if line:
            yield line
