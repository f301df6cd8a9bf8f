"""What tests of every member share: private servers, migrated databases, contract suites; `plugin` has the fixtures."""

from saras_common.postgres import free_port
from saras_common.servers import PrivateRabbit, PrivateRedis
from saras_common.testing.databases import MigratedDatabase, PostgresForTests, assert_no_drift

__all__ = [
    "MigratedDatabase",
    "PostgresForTests",
    "PrivateRabbit",
    "PrivateRedis",
    "assert_no_drift",
    "free_port",
]
