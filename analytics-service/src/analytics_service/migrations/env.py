"""Alembic's entry; the work is done in saras_common.db."""

from analytics_service.models import Base
from saras_common.db import run_migrations

run_migrations(Base.metadata)
