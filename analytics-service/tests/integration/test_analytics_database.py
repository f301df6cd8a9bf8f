"""The tables: as the models say, walls between users, a store nobody can change."""

import psycopg
import pytest

from analytics_service.models import Base
from saras_common.db import driver
from saras_common.ids import new_id
from saras_common.testing.databases import assert_no_drift


def test_models_and_migrations_agree(database_for):
    database = database_for("analytics_service")
    assert_no_drift(database.admin_url, "analytics_service", Base.metadata)


@pytest.mark.parametrize(
    "statement", ["UPDATE trades SET quantity = 1", "DELETE FROM trades", "TRUNCATE trades", "DELETE FROM flows"]
)
def test_the_store_is_only_added_to(service, statement):
    service.fill(service.user())
    with pytest.raises(psycopg.Error), service.database.for_service() as session:
        driver(session).execute(statement)


def test_rows_of_another_user_are_not_there(service):
    mine, other = service.user(), service.user()
    service.fill(mine)
    service.move(mine, 100)
    service.record(mine, instrument="NSE:NONE")
    for table in ("trades", "positions", "flows", "rejected_trades", "people"):
        with service.database.for_users(other) as session:
            found = driver(session).execute(f"SELECT count(*) FROM {table} WHERE user_id = %s", [mine]).fetchone()
        assert found == (0,), table
        with service.database.for_users(mine) as session:
            found = driver(session).execute(f"SELECT count(*) FROM {table} WHERE user_id = %s", [mine]).fetchone()
        assert found[0] == 1 + (table == "trades") * 0, table


def test_a_row_for_another_user_cannot_be_written(service):
    mine, other = service.user(), service.user()
    with pytest.raises(psycopg.errors.InsufficientPrivilege), service.database.for_users(mine) as session:
        driver(session).execute(
            "INSERT INTO flows (movement_id, user_id, at, amount_paise) VALUES (%s, %s, now(), 1)", [new_id(), other]
        )
