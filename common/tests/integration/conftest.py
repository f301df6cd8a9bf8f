"""A small service made on the spot: a table under row-level security, an outbox and an inbox."""

import sys
from pathlib import Path
from textwrap import dedent

import pytest

PACKAGE = "probe_service"
FILES = {
    "__init__.py": "",
    "models.py": """
        from sqlalchemy import BigInteger, CheckConstraint, Column, MetaData, Table, Uuid
        from saras_common.inbox import add_inbox_table
        from saras_common.outbox import add_outbox_table

        metadata = MetaData(schema="probe_service")
        coin = Table(
            "coin", metadata,
            Column("id", Uuid, primary_key=True),
            Column("user_id", Uuid, nullable=False),
            Column("paise", BigInteger, nullable=False),
            CheckConstraint("paise >= 0", name="coin_not_negative"),
        )
        add_outbox_table(metadata, "probe_service")
        add_inbox_table(metadata, "probe_service")
    """,
    "migrations/env.py": """
        from probe_service.models import metadata
        from saras_common.db import run_migrations

        run_migrations(metadata)
    """,
    "migrations/script.py.mako": "",
    "migrations/versions/0001_first.py": """
        from alembic import op
        from saras_common.db import user_policy
        from saras_common.inbox import create_inbox
        from saras_common.outbox import create_outbox

        revision = "0001"
        down_revision = None

        def upgrade():
            op.execute(
                "CREATE TABLE probe_service.coin (id uuid PRIMARY KEY, user_id uuid NOT NULL,"
                " paise bigint NOT NULL CONSTRAINT coin_not_negative CHECK (paise >= 0))"
            )
            for statement in user_policy("probe_service.coin"):
                op.execute(statement)
            op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON probe_service.coin TO probe_service")
            create_outbox(op, "probe_service", "probe_service")
            create_inbox(op, "probe_service", "probe_service")
    """,
}


@pytest.fixture(scope="session", autouse=True)
def probe_service(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("probe")
    for name, text in FILES.items():
        path = root / PACKAGE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
    sys.path.insert(0, str(root))
    return root / PACKAGE
