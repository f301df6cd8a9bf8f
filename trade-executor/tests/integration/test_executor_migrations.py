"""The models say what the migrations made, and the service may do no more than it needs."""

import psycopg
import pytest

from saras_common.testing import assert_no_drift
from trade_executor.models import Base


def test_models_and_migrations_agree(database_for):
    assert_no_drift(database_for("trade_executor").admin_url, "trade_executor", Base.metadata)


@pytest.mark.parametrize("table", ["fills", "certificates", "statements", "strangers", "dp_charges"])
def test_evidence_is_only_ever_added(database_for, table):
    with psycopg.connect(database_for("trade_executor").url) as connection:
        for verb in ("UPDATE trade_executor.{} SET account_id = account_id", "DELETE FROM trade_executor.{}"):
            statement = verb.format(table).replace("account_id", "block_id" if table == "statements" else "account_id")
            with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                connection.execute(statement)
