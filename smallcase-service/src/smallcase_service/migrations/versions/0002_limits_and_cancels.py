"""Orders of runs with a limit; runs whose users want them cancelled; when a user's holdings were asked about."""

from alembic import op

revision = "0002"
down_revision = "0001"

S = "smallcase_service"


def upgrade() -> None:
    op.execute(f"ALTER TABLE {S}.legs ADD COLUMN limit_paise bigint")
    # whether a run of the version before is on its way to the book is not known: it may be
    op.execute(
        f"ALTER TABLE {S}.runs ADD COLUMN is_tried boolean NOT NULL DEFAULT true,"
        " ADD COLUMN cancel_asked_at timestamptz"
    )
    op.execute(f"ALTER TABLE {S}.checks ADD COLUMN asked_at timestamptz")
    op.execute(f"GRANT UPDATE (asked_at) ON {S}.checks TO {S}")
