"""Alembic's entry; the work is done in saras_common.db."""

from saras_common.bus.models import metadata
from saras_common.db import run_migrations

run_migrations(metadata)
