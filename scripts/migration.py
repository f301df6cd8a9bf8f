"""Write a new migration of one service from the difference between its models and its migrations.

A scratch database is brought to the present head first, so nothing of yours is touched. Read what was written: grants,
row-level security and triggers are not in the models. What would stop or break the version that runs is named; a test
refuses it.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from saras.fleet import SERVICES as FLEET
from saras_common.db import find_unsafe, migrate, new_revision, provision, schema_of
from saras_common.postgres import EmbeddedPostgres

SERVICES = {service.name: service.package for service in FLEET if service.has_schema}


def main() -> int:
    """Exit status 2 when the words are off."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("service", choices=sorted(SERVICES))
    parser.add_argument("name", help="what the migration does, in a word or two")
    arguments = parser.parse_args()
    if not arguments.name.strip():
        parser.error("name the migration: make migration service=… name=…")
    package = SERVICES[arguments.service]
    with tempfile.TemporaryDirectory(prefix="saras-migration-", ignore_cleanup_errors=True) as folder:
        server = EmbeddedPostgres(Path(folder) / "home")
        try:
            admin_url = server.start()
            provision(admin_url, {schema_of(package): "scratch-only", "bus": "scratch-only"})
            migrate(admin_url, package)
            new_revision(admin_url, package, arguments.name)
            for fault in find_unsafe(package):
                print(f"unsafe while the version before runs: {fault}", file=sys.stderr)
        finally:
            server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
