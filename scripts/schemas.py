"""Write the published schemas: one JSON Schema an event in docs/events, the merged OpenAPI in docs/openapi.

With ``--check`` nothing is written; the command fails when a file would change, so a contract never drifts unseen.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from saras_common.events import EVENT_TYPES, SUBSCRIPTIONS

ROOT = Path(__file__).resolve().parent.parent


def event_files() -> dict[Path, str]:
    """Path → text of each event's schema, with who publishes to whom in an index beside them."""
    folder = ROOT / "docs" / "events"
    files = {folder / f"{kind}.json": _text(cls.model_json_schema()) for kind, cls in EVENT_TYPES.items()}
    files[folder / "subscriptions.json"] = _text({queue: sorted(kinds) for queue, kinds in SUBSCRIPTIONS.items()})
    return files


def openapi_files() -> dict[Path, str]:
    """The platform's OpenAPI document, merged as the gateway serves it."""
    from saras.openapi import platform_openapi

    return {ROOT / "docs" / "openapi" / "platform.json": _text(platform_openapi())}


def _text(document: Any) -> str:
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def main() -> int:
    """Exit status 1 when ``--check`` finds a difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail on a difference")
    check = parser.parse_args().check
    files = event_files() | openapi_files()
    stale = [path for path in (ROOT / "docs").glob("events/*.json") if path not in files]
    changed = [path for path, text in files.items() if not path.exists() or path.read_text() != text]
    if check:
        for path in changed + stale:
            print(f"differs from the code: {path.relative_to(ROOT)} (run: make schemas)")
        return 1 if changed or stale else 0
    for path in stale:
        path.unlink()
    for path in changed:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files[path])
    print(f"{len(files)} schemas, {len(changed)} written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
