#!/usr/bin/env python3
"""Restore a backup into an empty server and check it: files, row counts, every rule of the book.

The platform must not run. It comes back halted: start it, let it reconcile (`saras reconcile` exits 1 while the books
and the broker differ), look at what the broker did after the backup, then `saras resume`.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from saras.backup import BackupFailed, restore
from saras.backup.manifest import Manifest, server_of
from saras.home import Home


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when everything is there again and balances in itself."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    home = Path(os.environ.get("SARAS_HOME", ".saras"))
    parser.add_argument("folder", type=Path, help="the backup's own folder")
    parser.add_argument("--home", type=Path, default=home, help="the platform's home (SARAS_HOME)")
    parser.add_argument(
        "--url", default=os.environ.get("DATABASE_URL") or None, help="a server run elsewhere (DATABASE_URL)"
    )
    options = parser.parse_args(arguments)
    place = Home(options.home)
    if place.is_held:
        print("restore: a platform runs on this home; end it first (`saras down`)", file=sys.stderr)
        return 1
    try:
        Manifest.read(options.folder)  # a damaged one starts nothing
        with server_of(place, options.url) as url:
            manifest = restore(url, place, options.folder)
    except BackupFailed as error:
        print(f"restore: {error}", file=sys.stderr)
        return 1
    print(
        f"Restored the state of {manifest.taken_at}: {sum(manifest.rows.values())} rows; every rule of the book holds."
    )
    print("It is halted. Start it, `saras reconcile`, look at what the broker did since, then `saras resume`.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
