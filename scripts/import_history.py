#!/usr/bin/env python3
"""Take files of daily prices into a platform: Kite's candles, bhavcopies, any CSV with a date and four prices.

    python scripts/import_history.py prices/*.csv
    python scripts/import_history.py --instrument NSE:INFY infy.json

Needs nothing but Python. The administrator's password is read from SARAS_ADMIN_PASSWORD, else asked for. A long CSV is
sent in parts; a part with a fault is refused whole, and the answer says which line.
"""

import argparse
import getpass
import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LINES_A_PART = 10_000


class Refused(Exception):
    """The platform said no, or nothing."""


def post(url: str, path: str, content: bytes, content_type: str, token: str | None = None) -> Any:
    """One request under /api/v1; its JSON, or `Refused` with the problem's words."""
    headers = {"Content-Type": content_type, **({"Authorization": f"Bearer {token}"} if token else {})}
    target = f"{url.rstrip('/')}/api/v1{path}"
    request = urllib.request.Request(target, content, headers)  # noqa: S310 - the operator's own address
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310 - same
            return json.load(answer)
    except urllib.error.HTTPError as error:
        problem = json.loads(error.read() or b"{}")
        faults = "; ".join(f"{item['field']}: {item['message']}" for item in problem.get("errors", []))
        raise Refused(f"{error.code} {problem.get('detail', '')} {faults}".strip()) from None
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise Refused(f"{url} does not answer: {error}") from None


def parts(content: bytes) -> Iterator[bytes]:
    """The file as it is, or a long CSV cut between lines with the header before each part."""
    lines = content.splitlines(keepends=True)
    if content.lstrip()[:1] in {b"{", b"["} or len(lines) <= LINES_A_PART:
        yield content
        return
    for start in range(1, len(lines), LINES_A_PART):
        yield lines[0] + b"".join(lines[start : start + LINES_A_PART])


def main() -> int:
    """Send every file; exit status 1 when one was refused."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--instrument", help="EXCHANGE:SYMBOL, where the files do not name it")
    parser.add_argument("--exchange", default="NSE", choices=["NSE", "BSE"], help="of files with bare symbols")
    parser.add_argument("--url", default=os.environ.get("SARAS_URL", "http://127.0.0.1:8000"))
    parser.add_argument("--email", default=os.environ.get("SARAS_ADMIN_EMAIL", "admin@saras.local"))
    chosen = parser.parse_args()
    password = os.environ.get("SARAS_ADMIN_PASSWORD") or getpass.getpass("Administrator's password: ")
    login = json.dumps({"email": chosen.email, "password": password}).encode()
    query = {"exchange": chosen.exchange} | ({"instrument": chosen.instrument} if chosen.instrument else {})
    path = f"/admin/history/prices?{urllib.parse.urlencode(query)}"
    try:
        token = post(chosen.url, "/login", login, "application/json")["access_token"]
    except Refused as error:
        print(error, file=sys.stderr)
        return 1
    refused = 0
    for file in chosen.files:
        try:
            days = sum(post(chosen.url, path, part, "text/csv", token)["days"] for part in parts(file.read_bytes()))
            print(f"{file}: {days} days")
        except Refused as error:
            print(f"{file}: {error}", file=sys.stderr)
            refused += 1
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
