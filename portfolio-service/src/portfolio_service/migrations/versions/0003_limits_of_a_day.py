"""Orders of a user counted by trading day, for the limits of one day."""

from alembic import op

revision = "0003"
down_revision = "0002"


S = "portfolio_service"


def upgrade() -> None:
    op.execute(
        f"ALTER TABLE {S}.clients ADD COLUMN day date, ADD COLUMN day_orders bigint NOT NULL DEFAULT 0,"
        " ADD COLUMN day_paise bigint NOT NULL DEFAULT 0"
    )
    op.execute(f"GRANT UPDATE (day, day_orders, day_paise) ON {S}.clients TO {S}")
