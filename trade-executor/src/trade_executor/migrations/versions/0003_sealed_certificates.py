"""Certificates carry a seal of their hash."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute("ALTER TABLE trade_executor.certificates ADD COLUMN seal bytea")
