#!/usr/bin/env python3
"""Back up a platform while it runs: one dump a service, all of one moment, and the home's secrets.

Keep the folder where only you can read it: with its secrets anybody can read its data.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from saras.backup import BackupFailed, back_up
from saras.backup.manifest import server_of
from saras.home import Home


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when the backup is complete; prints its folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    home = Path(os.environ.get("SARAS_HOME", ".saras"))
    parser.add_argument("folder", type=Path, help="where backups are kept; each gets a folder of its own in it")
    parser.add_argument("--home", type=Path, default=home, help="the platform's home (SARAS_HOME)")
    parser.add_argument(
        "--url", default=os.environ.get("DATABASE_URL") or None, help="a server run elsewhere (DATABASE_URL)"
    )
    options = parser.parse_args(arguments)
    place = Home(options.home)
    try:
        with server_of(place, options.url) as url:
            print(back_up(url, place, options.folder, datetime.now(UTC)))
    except BackupFailed as error:
        print(f"backup: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
