"""Splits and bonuses are told apart: they are not taxed alike. Room for positions to change where they are."""

from alembic import op

revision = "0002"
down_revision = "0001"

S = "analytics_service"


def upgrade() -> None:
    op.execute(f"ALTER TABLE {S}.corporate_actions ADD COLUMN kind text NOT NULL DEFAULT 'split'")
    op.execute(
        f"ALTER TABLE {S}.corporate_actions ADD CONSTRAINT corporate_actions_kind"
        " CHECK (kind IN ('split', 'bonus')) NOT VALID"
    )
    # a position is written again with each of its trades: in its own page no index is touched
    op.execute(f"ALTER TABLE {S}.positions SET (fillfactor = 60)")
