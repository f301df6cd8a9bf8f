"""Expand, migrate, contract: a table changes while three versions of a service write and read it, two at a time.

The first version knows ``paise``. The second writes ``paise`` and ``amount`` and reads whichever is there; the third
knows ``amount`` alone. None of them may meet an error, and each must see every row all of them wrote.
"""

import subprocess
import sys
import threading
import time
from textwrap import dedent
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import text

from saras_common.db import find_unsafe, migrate, provision
from saras_common.db.migrating import _LOCK_SPACE, LOCK_TIMEOUT_S

PACKAGE = "moving_service"
ROWS = 60
"""Rows each version writes in each of its phases, at least."""

MODELS = """
    from sqlalchemy import MetaData
    metadata = MetaData(schema="moving_service")
"""
ENV = """
    from moving_service.models import metadata
    from saras_common.db import run_migrations
    run_migrations(metadata)
"""
MIGRATIONS = {
    "0001": """
        def upgrade():
            op.execute("CREATE TABLE moving_service.coin (id uuid PRIMARY KEY, user_id uuid NOT NULL,"
                " paise bigint NOT NULL)")
            for statement in user_policy("moving_service.coin"):
                op.execute(statement)
            op.execute("GRANT SELECT, INSERT, UPDATE ON moving_service.coin TO moving_service")
    """,
    "0002": """
        def upgrade():
            op.execute("ALTER TABLE moving_service.coin ADD COLUMN amount bigint, ALTER COLUMN paise DROP NOT NULL")
            op.execute("CREATE TABLE moving_service.note (id uuid PRIMARY KEY, text text NOT NULL)")
            op.execute("GRANT SELECT, INSERT ON moving_service.note TO moving_service")
    """,
    "0003": """
        def upgrade():
            create_index(op, "moving_service", "coin_by_user", "coin (user_id, id)")
    """,
    "0004": """
        def upgrade():
            backfill(op, "UPDATE moving_service.coin SET amount = paise WHERE id IN (SELECT id"
                " FROM moving_service.coin WHERE amount IS NULL LIMIT :rows FOR UPDATE SKIP LOCKED)", rows=20)
    """,
    "0005": """
        contract = "0.3.0"
        def upgrade():
            op.execute("ALTER TABLE moving_service.coin DROP COLUMN paise")
    """,
}
HEAD = """
from alembic import op
from saras_common.db import backfill, create_index, user_policy
revision = "{revision}"
down_revision = {previous}
"""
VERSIONS = {
    1: ("INSERT INTO coin (id, user_id, paise) VALUES (:id, :user, 1)", "SELECT sum(paise), count(*) FROM coin"),
    2: (
        "INSERT INTO coin (id, user_id, paise, amount) VALUES (:id, :user, 1, 1)",
        "SELECT sum(coalesce(amount, paise)), count(*) FROM coin",
    ),
    3: ("INSERT INTO coin (id, user_id, amount) VALUES (:id, :user, 1)", "SELECT sum(amount), count(*) FROM coin"),
}
"""What each writes, and what it takes to be the sum of all rows."""


class Running(threading.Thread):
    """One version at work."""

    def __init__(self, database, version):
        super().__init__(daemon=True)
        self.database = database
        self.write, self.read = (text(statement) for statement in VERSIONS[version])
        self.version, self.written, self.wrong = version, 0, []
        self.leave, self.has_worked = threading.Event(), threading.Condition()

    def run(self):
        while not self.leave.is_set():
            try:
                with self.database.for_service() as session:
                    session.execute(self.write, {"id": uuid4(), "user": uuid4()})
                with self.database.for_service() as session:
                    total, count = session.execute(self.read).one()
                if total != count:
                    self.wrong.append(f"version {self.version} sees {total} of {count}")
            except Exception as error:  # noqa: BLE001 - any is one too many
                self.wrong.append(f"version {self.version}: {error}")
            with self.has_worked:
                self.written += 1
                self.has_worked.notify_all()

    def work_on(self):
        """Until it has written so many rows more."""
        goal = self.written + ROWS
        with self.has_worked:
            assert self.has_worked.wait_for(lambda: self.written >= goal, 60)

    def end(self):
        self.leave.set()
        self.join()


@pytest.fixture
def releases(tmp_path_factory, monkeypatch):
    """``releases("0002")``: the package as it is in a release, with migrations up to that one."""
    root = tmp_path_factory.mktemp("moving")
    versions = root / PACKAGE / "migrations" / "versions"
    versions.mkdir(parents=True)
    (root / PACKAGE / "__init__.py").touch()
    (root / PACKAGE / "models.py").write_text(dedent(MODELS))
    (root / PACKAGE / "migrations" / "env.py").write_text(dedent(ENV))
    monkeypatch.syspath_prepend(str(root))

    def up_to(last):
        previous = None
        for revision, body in MIGRATIONS.items():
            if revision <= last:
                head = HEAD.format(revision=revision, previous=repr(previous))
                (versions / f"{revision}_step.py").write_text(head + dedent(body))
            previous = revision

    yield up_to
    for name in [name for name in sys.modules if name.startswith(PACKAGE)]:
        del sys.modules[name]


@pytest.fixture
def schema(postgres, releases):
    """The first release's schema on a database: the administrator's URL and the service's."""
    admin_url = postgres.empty_database()
    urls = provision(admin_url, {PACKAGE: "only-for-tests", "bus": "only-for-tests"})
    releases("0001")
    migrate(admin_url, PACKAGE)
    return admin_url, urls[PACKAGE]


@pytest.fixture
def running(schema):
    """``running(version)``: that version at work on the schema, on connections of its own."""
    from saras_common.db import Database

    started = []

    def start(version):
        database = Database(schema[1], schema=PACKAGE, pool_size=2)
        started.append(Running(database, version))
        started[-1].start()
        started[-1].work_on()
        return started[-1]

    yield start
    for each in started:
        each.end()
        each.database.dispose()


def test_three_versions_change_a_table_under_one_another(schema, releases, running):
    admin_url, _ = schema
    first = running(1)
    for revision in ("0002", "0003"):  # expand, while the old version alone runs
        releases(revision)
        migrate(admin_url, PACKAGE)
        first.work_on()
    second = running(2)  # old and new side by side
    first.work_on()
    first.end()
    releases("0004")  # migrate: rows of the old version get what the third will read
    migrate(admin_url, PACKAGE)
    second.work_on()
    third = running(3)
    second.work_on()
    second.end()
    releases("0005")  # contract, once nobody is left who needs the old column
    migrate(admin_url, PACKAGE)
    third.work_on()
    third.end()
    assert first.wrong + second.wrong + third.wrong == []
    with psycopg.connect(admin_url) as connection:
        count, total = connection.execute("SELECT count(*), sum(amount) FROM moving_service.coin").fetchone()
        valid = connection.execute(
            "SELECT indisvalid FROM pg_index WHERE indexrelid = 'moving_service.coin_by_user'::regclass"
        ).fetchone()
    assert count == total == first.written + second.written + third.written
    assert valid == (True,)
    assert find_unsafe(PACKAGE) == []


def test_an_index_is_made_beside_a_migration_that_waits_its_turn(schema, releases):
    """An index made beside the traffic waits for every statement that began before it, so nobody may wait in one."""
    admin_url, _ = schema
    releases("0003")
    code = f"from saras_common.db import migrate; migrate({admin_url!r}, {PACKAGE!r})"
    environment = {"PYTHONPATH": next(path for path in sys.path if "moving" in path)}
    others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with psycopg.connect(admin_url, autocommit=True) as first:
        first.execute("SELECT pg_advisory_lock(%s)", [_LOCK_SPACE])
        started = [
            subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, env=environment) for _ in range(2)
        ]
        while first.execute(others).fetchone()[0] < len(started):
            assert all(process.poll() is None for process in started)
            time.sleep(0.05)
    for process in started:  # the turn is theirs now, one after the other
        _, said = process.communicate()
        assert process.returncode == 0, said.decode()


def test_a_lock_somebody_holds_is_waited_for_in_short_tries(schema, releases):
    admin_url, _ = schema
    releases("0002")
    held, waited = threading.Event(), []
    with psycopg.connect(admin_url) as busy, psycopg.connect(admin_url, autocommit=True) as other:
        busy.execute("SELECT count(*) FROM moving_service.coin")  # a long transaction: the table cannot change

        def bring_up():
            migrate(admin_url, PACKAGE)
            held.set()

        thread = threading.Thread(target=bring_up)
        thread.start()
        other.execute("SET statement_timeout = '30s'")
        for _ in range(3):  # others read on: nobody queues behind the change for longer than it waits itself
            waited.append(other.execute("SELECT count(*) FROM moving_service.coin").fetchone())
            assert not held.wait(LOCK_TIMEOUT_S / 2)
        busy.rollback()
        thread.join()
    assert held.is_set()
    assert len(waited) == 3
