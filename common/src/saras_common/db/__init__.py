"""The way to PostgreSQL: sessions under row-level security, roles and schemas, migrations.

A service sees its own schema and nothing else. Its tables belong to the migrating role; the service holds what
migrations grant it.
"""

from saras_common.db.changing import backfill, create_index
from saras_common.db.migrating import find_drift, migrate, new_revision, run_migrations
from saras_common.db.patience import connect
from saras_common.db.provisioning import provision, schema_of, user_policy
from saras_common.db.safety import Migration, find_unsafe, list_migrations
from saras_common.db.sessions import (
    Contended,
    Database,
    T,
    Transactions,
    constraint_of,
    driver,
    is_contended,
    is_unique_violation,
    retrying,
    translated,
)

__all__ = [
    "Contended",
    "Database",
    "Migration",
    "T",
    "Transactions",
    "backfill",
    "connect",
    "constraint_of",
    "create_index",
    "driver",
    "find_drift",
    "find_unsafe",
    "is_contended",
    "is_unique_violation",
    "list_migrations",
    "migrate",
    "new_revision",
    "provision",
    "retrying",
    "run_migrations",
    "schema_of",
    "translated",
    "user_policy",
]
