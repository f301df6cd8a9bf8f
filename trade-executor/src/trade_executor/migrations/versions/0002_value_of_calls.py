"""What each call may be worth, for the limit of a day."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("ALTER TABLE trade_executor.order_calls ADD COLUMN value_paise BIGINT NOT NULL DEFAULT 0")
