"""Which migrations may be played under a running service."""

import sys
from textwrap import dedent

import pytest

from saras_common.db import find_unsafe, list_migrations

FIRST = """
from alembic import op
revision, down_revision = "0001", None
def upgrade():
    op.execute("CREATE TABLE s.orders (id uuid PRIMARY KEY, price bigint NOT NULL)")
    op.execute("CREATE INDEX orders_price ON s.orders (price)")
"""
SECOND = """
from alembic import op
from saras_common.db import backfill, create_index
revision, down_revision = "0002", "0001"
{mark}
def upgrade():
{body}
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """``package(statements)``: one whose second migration plays them; its name."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(*lines, mark=""):
        folder = tmp_path / "judged" / "migrations" / "versions"
        folder.mkdir(parents=True)
        (tmp_path / "judged" / "__init__.py").touch()
        body = "\n".join(f"    {line}" for line in lines)
        (folder / "0001_first.py").write_text(dedent(FIRST))
        (folder / "0002_next.py").write_text(SECOND.format(mark=mark, body=body))
        monkeypatch.delitem(sys.modules, "judged", raising=False)
        return "judged"

    yield make
    sys.modules.pop("judged", None)


def executed(*statements):
    return [f"op.execute({statement!r})" for statement in statements]


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE s.orders DROP COLUMN price",
        "ALTER TABLE s.orders DROP price",
        "ALTER TABLE s.orders ADD COLUMN note text, DROP COLUMN price",
        "DROP TABLE s.orders",
        "ALTER TABLE s.orders RENAME COLUMN price TO paise",
        "ALTER TABLE s.orders RENAME TO orders_old",
        "ALTER TABLE s.orders ALTER COLUMN price TYPE numeric",
        "ALTER TABLE s.orders ALTER price SET DATA TYPE numeric",
        "ALTER TABLE s.orders ALTER COLUMN price SET NOT NULL",
        "REVOKE UPDATE ON s.orders FROM s",
        "TRUNCATE s.orders",
    ],
)
def test_what_takes_away_waits_for_a_release_that_says_so(package, statement):
    assert find_unsafe(package(*executed(statement))) != []


def test_a_contract_names_the_release_that_stopped_needing_it(package):
    name = package(*executed("ALTER TABLE s.orders DROP COLUMN price"), mark='contract = "0.2.0"')
    assert find_unsafe(name) == []
    assert [migration.contract for migration in list_migrations(name)] == [None, "0.2.0"]


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE s.orders ADD COLUMN note text NOT NULL",
        "ALTER TABLE s.orders ADD note text NOT NULL",
        "ALTER TABLE s.orders ADD COLUMN a text, ADD COLUMN b text NOT NULL",
        "ALTER TABLE s.orders ADD COLUMN key uuid NOT NULL DEFAULT gen_random_uuid()",
        "ALTER TABLE s.orders ADD COLUMN n bigint GENERATED ALWAYS AS IDENTITY",
        "ALTER TABLE s.orders ADD CONSTRAINT cheap CHECK (price < 10)",
        "ALTER TABLE s.orders ADD CONSTRAINT one UNIQUE (price)",
        "CREATE INDEX orders_two ON s.orders (price)",
        "CREATE UNIQUE INDEX orders_two ON s.orders (price)",
        "DROP INDEX s.orders_price",
        "UPDATE s.orders SET price = 0",
        "DELETE FROM s.orders",
        "LOCK TABLE s.orders",
        "SET lock_timeout = 0",
    ],
)
@pytest.mark.parametrize("mark", ["", 'contract = "0.2.0"'])
def test_what_stops_a_running_service_is_wrong_in_any_release(package, statement, mark):
    assert find_unsafe(package(*executed(statement), mark=mark)) != []


def test_a_constraint_is_validated_after_the_lock_it_was_added_under(package):
    added = "ALTER TABLE s.orders ADD CONSTRAINT cheap CHECK (price < 10) NOT VALID"
    (fault,) = find_unsafe(package(*executed(added, "ALTER TABLE s.orders VALIDATE CONSTRAINT cheap")))
    assert "next migration" in fault


@pytest.mark.parametrize(
    "statements",
    [
        ["ALTER TABLE s.orders ADD COLUMN note text"],
        ["ALTER TABLE s.orders ADD COLUMN day date, ADD COLUMN orders bigint NOT NULL DEFAULT 0"],
        ["ALTER TABLE s.orders ALTER COLUMN price DROP NOT NULL"],
        ["ALTER TABLE s.orders ADD CONSTRAINT cheap CHECK (price < 10) NOT VALID"],
        ["ALTER TABLE s.orders VALIDATE CONSTRAINT cheap"],
        ["ALTER TABLE s.orders DROP CONSTRAINT cheap"],
        ["CREATE TABLE s.notes (id uuid PRIMARY KEY)", "CREATE INDEX n ON s.notes (id)", "DELETE FROM s.notes"],
        ["GRANT SELECT ON s.orders TO s", "INSERT INTO s.floor VALUES (true, 0)"],
        ["CREATE OR REPLACE FUNCTION s.f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE x SET y = 1; END $$"],
    ],
)
def test_what_only_adds_is_safe(package, statements):
    assert find_unsafe(package(*executed(*statements))) == []


def test_indexes_beside_the_traffic_and_backfills_stand_alone(package, tmp_path):
    index = 'create_index(op, "s", "orders_two", "orders (price)")'
    fill = 'backfill(op, "UPDATE s.orders SET note = 1 WHERE id IN (SELECT id FROM s.orders LIMIT :rows)")'
    assert find_unsafe(package(index, fill)) == []
    versions = tmp_path / "judged" / "migrations" / "versions"
    together = (
        SECOND.replace("0002", "0003")
        .replace("0001", "0002")
        .format(mark="", body=f"    {index}\n    op.execute('ALTER TABLE s.orders ADD COLUMN note text')")
    )
    (versions / "0003_more.py").write_text(together)
    (fault,) = find_unsafe("judged")
    assert "of its own" in fault
