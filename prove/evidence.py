"""Campaign 11: the audit log and the certificates changed by a superuser, and whether a separate reader sees it.

Rows are written by the services' own code, witnessed into a file, then tampered with in every way a superuser has, who
has neither the services' keys nor the file. Before each attempt the tables are as they were written.
"""

import base64
import hashlib
import json
import random
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
from prove.campaign import Campaign, Outcome, Run
from prove.races import server
from prove.roles import check_roles
from psycopg.types.json import Json

from saras.evidence import Seals, Sources, Witness, check_evidence
from saras_common.clock import ManualClock
from saras_common.db import Database
from saras_common.ids import new_id
from saras_common.testing import PostgresForTests
from trade_executor.core.certificates import hash_of
from trade_executor.sealing import Sealer
from trade_executor.store.postgres import transactions
from trade_executor.testing.world import World, in_memory
from user_service.store.audit import add_audit
from user_service.vault import Vault

AUDIT_ROWS, CERTIFICATES = 60, 25
TABLES = {"audit": "user_service.audit", "certificates": "trade_executor.certificates"}
KEYS = {"audit": "id", "certificates": "number"}
START = datetime(2026, 3, 2, 5, tzinfo=UTC)

Row = dict[str, Any]


@dataclass
class Scene:
    """A database with evidence, the file beside it, the verifier's eyes, and a superuser."""

    path: Path
    sources: Sources
    admin: psycopg.Connection[Row]

    def check(self) -> list[str]:
        return check_evidence(self.path, self.sources, now=datetime.now(UTC) + timedelta(hours=1))

    def rows(self, table: str) -> list[Row]:
        return self.admin.execute(f"SELECT * FROM {TABLES[table]} ORDER BY {KEYS[table]}".encode()).fetchall()

    def restore(self) -> None:
        for name, table in TABLES.items():
            self.admin.execute(f"DELETE FROM {table}; INSERT INTO {table} SELECT * FROM public.kept_{name}".encode())


@contextmanager
def scene() -> Iterator[Scene]:
    """Evidence written by the services' own code on a server of its own, and witnessed."""
    server = PostgresForTests()
    with tempfile.TemporaryDirectory(prefix="saras-evidence-") as folder:
        made = server.database_for("user_service", "trade_executor")
        people, executor = made.connect("user_service"), made.connect("trade_executor")
        vault, sealer = Vault([secrets.token_bytes(32)]), Sealer(base64.b64encode(secrets.token_bytes(32)).decode())
        try:
            _write_audit(people, vault)
            _write_certificates(executor, sealer)
            sources = Sources(people.for_service, executor.for_service, Seals(vault.has_vouched, sealer.has_sealed))
            path = Path(folder) / "evidence.chain"
            Witness(path, sources).look()
            with psycopg.connect(made.admin_url, autocommit=True, row_factory=psycopg.rows.dict_row) as admin:
                admin.execute("SET session_replication_role = replica")  # past every trigger
                for name, table in TABLES.items():
                    admin.execute(f"CREATE TABLE public.kept_{name} AS TABLE {table}".encode())
                yield Scene(path, sources, admin)
        finally:
            people.dispose()
            executor.dispose()
            server.stop()


def _write_audit(database: Database, vault: Vault) -> None:
    draw = random.Random(1)
    with database.for_service() as session:
        for number in range(AUDIT_ROWS):
            add_audit(
                session,
                audit_id=new_id(),
                at=START + timedelta(seconds=number),
                kind=draw.choice(("login", "login_failed", "password_changed", "kyc_approved")),
                user_id=uuid4(),
                actor_id=uuid4(),
                address="192.0.2.7",
                request_id=f"request-{number}",
                detail={"attempt": number, "reason": "drill"},
                seal=vault.vouch,
            )


def _write_certificates(database: Database, sealer: Sealer) -> None:
    """Certificates of blocks that really traded, in a world in memory, kept as the executor keeps them."""
    documents = list(_traded().values())
    with transactions(database, sealer.seal)() as store:
        store.ensure_account("main")
        for document in documents[:CERTIFICATES]:
            plain = {**document, "batch_id": str(document["batch_id"])}
            store.add_certificate("main", UUID(plain["batch_id"]), UUID(plain["block_id"]), plain)


def _traded() -> dict[Any, Any]:
    from trade_executor.store.memory import MemoryDatabase

    clock = ManualClock(START)
    database = MemoryDatabase(clock)
    world: World = in_memory(clock, database)
    for number in range(CERTIFICATES):
        world.take(*[world.order(3 + number + more) for more in range(3)])
        world.run(12)
    return database.table("certificates")


# --- what a superuser may try

Tampering = Callable[[Scene, str, random.Random], None]


def _edit(scene: Scene, table: str, draw: random.Random) -> None:
    row = draw.choice(scene.rows(table))
    if table == "audit":
        column, value = draw.choice(
            [("kind", "logout"), ("address", "198.51.100.9"), ("user_id", uuid4()), ("detail", Json({}))]
        )
    else:
        document = json.loads(json.dumps(row["document"]))
        document["result"]["allocated"][0] += 1
        column, value = "document", Json({**document, "hash": hash_of(document)})
    scene.admin.execute(
        f"UPDATE {TABLES[table]} SET {column} = %s WHERE {KEYS[table]} = %s".encode(), [value, row[KEYS[table]]]
    )


def _delete(scene: Scene, table: str, draw: random.Random) -> None:
    row = draw.choice(scene.rows(table)[:-1])
    scene.admin.execute(f"DELETE FROM {TABLES[table]} WHERE {KEYS[table]} = %s".encode(), [row[KEYS[table]]])
    if table == "certificates" and draw.randrange(2):  # and closes the gap
        scene.admin.execute(
            b"UPDATE trade_executor.certificates SET number = number - 1 WHERE number > %s", [row["number"]]
        )


def _swap(scene: Scene, table: str, draw: random.Random) -> None:
    one, other = draw.sample(scene.rows(table), 2)
    spare = uuid4() if table == "audit" else -1
    for before, after in ((one, spare), (other, one[KEYS[table]])):
        scene.admin.execute(
            f"UPDATE {TABLES[table]} SET {KEYS[table]} = %s WHERE {KEYS[table]} = %s".encode(),
            [after, before[KEYS[table]]],
        )
    scene.admin.execute(
        f"UPDATE {TABLES[table]} SET {KEYS[table]} = %s WHERE {KEYS[table]} = %s".encode(), [other[KEYS[table]], spare]
    )


def _insert(scene: Scene, table: str, draw: random.Random) -> None:
    """A row of his own: with a seal copied from another, made up, or with none."""
    row = dict(draw.choice(scene.rows(table)))
    row["seal"] = draw.choice([row["seal"], secrets.token_bytes(45), None])
    if table == "audit":
        row |= {"id": new_id(), "kind": "kyc_approved", "detail": Json(row["detail"])}
    else:
        last = scene.rows(table)[-1]
        document = {**row["document"], "previous_hash": last["hash"], "block_id": str(uuid4())}
        document["hash"] = hash_of(document)
        row |= {"number": last["number"] + 1, "document": Json(document), "hash": document["hash"]}
    _add(scene, table, row)


def _add(scene: Scene, table: str, row: Row) -> None:
    places = ", ".join(["%s"] * len(row))
    scene.admin.execute(
        f"INSERT INTO {TABLES[table]} ({', '.join(row)}) VALUES ({places})".encode(), list(row.values())
    )


def _truncate(scene: Scene, table: str, draw: random.Random) -> None:
    rows = scene.rows(table)
    first = rows[-draw.randint(1, len(rows) // 2)]
    scene.admin.execute(f"DELETE FROM {TABLES[table]} WHERE {KEYS[table]} >= %s".encode(), [first[KEYS[table]]])


def _rewrite(scene: Scene, table: str, draw: random.Random) -> None:
    """Everything from row k on written anew, hashes and all, so that the table alone is sound again."""
    rows = scene.rows(table)
    start = draw.randrange(len(rows) - 1)
    _cut(scene, table, rows[start])
    previous = rows[start - 1]["hash"] if table == "certificates" and start else "0" * 64
    for row in rows[start:]:
        fresh = dict(row)
        if table == "audit":
            fresh |= {
                "address": "198.51.100.9",
                "detail": Json(row["detail"]),
                "seal": hashlib.sha512(row["seal"]).digest(),
            }
        else:
            document = {**row["document"], "previous_hash": previous, "at": "2026-03-02T06:00:00Z"}
            document["hash"] = previous = hash_of(document)
            fresh |= {"document": Json(document), "hash": document["hash"]}
        _add(scene, table, fresh)


def _cut(scene: Scene, table: str, first: Row) -> None:
    scene.admin.execute(f"DELETE FROM {TABLES[table]} WHERE {KEYS[table]} >= %s".encode(), [first[KEYS[table]]])


TAMPERINGS: dict[str, Tampering] = {
    "edit": _edit,
    "delete": _delete,
    "swap": _swap,
    "insert": _insert,
    "truncate the tail": _truncate,
    "rewrite from a row on": _rewrite,
}


def tamper(at: Scene, size: int, seed: int, deadline: Callable[[], bool]) -> Outcome:
    """``size`` attempts; each must be seen, and nothing may be seen once it is undone."""
    outcome, draw = Outcome(), random.Random(seed)
    if found := at.check():
        outcome.violate(f"seen where nothing was done: {found[0]}")
    for number in range(size):
        if deadline():
            outcome.missed.append(f"{number} attempts fitted into the time, not {size}")
            break
        name = list(TAMPERINGS)[number % len(TAMPERINGS)]
        table = draw.choice(list(TABLES))
        TAMPERINGS[name](at, table, draw)
        if not at.check():
            outcome.violate(f"not seen: {name} of {table} (attempt {number}, seed {seed})")
        at.restore()
        outcome.counts["tamperings"] += 1
        outcome.counts[f"tamperings: {name}"] += 1
    if found := at.check():
        outcome.violate(f"seen after everything was undone: {found[0]}")
    return outcome


def play(run: Run) -> Outcome:
    """One scene, all attempts."""
    with scene() as at:
        outcome = tamper(at, run.size, run.seed, lambda: run.left_s <= 0)
    with server() as on:
        outcome.add(check_roles(on))
    return outcome


CAMPAIGN = Campaign(
    number=11,
    target="1,000 tamperings with audit log and certificates as superuser (edit, delete, swap, insert, truncate the"
    " tail, rewrite from a row on): every one seen by a separate reader; each verb of each login on each table as the"
    " committed matrix says",
    size=1_000,
    bound_s=600,
    play=play,
)
