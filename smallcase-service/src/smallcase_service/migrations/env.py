"""Alembic's entry; the work is done in saras_common.db."""

from saras_common.db import run_migrations
from smallcase_service.models import Base

run_migrations(Base.metadata)
