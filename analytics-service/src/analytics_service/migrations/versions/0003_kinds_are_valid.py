"""Rows of before are of a known kind too: they have the default."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute("ALTER TABLE analytics_service.corporate_actions VALIDATE CONSTRAINT corporate_actions_kind")
