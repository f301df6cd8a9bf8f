"""Audit rows carry a seal of their digest."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("ALTER TABLE user_service.audit ADD COLUMN seal bytea")
