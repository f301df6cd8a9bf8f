#!/usr/bin/env python3
"""The administrator's manual trade trigger: sign in, close the open window now, wait for its batch, print it.

Needs nothing but Python. The password is read from SARAS_ADMIN_PASSWORD, else asked for.
"""

import argparse
import getpass
import json
import os
import sys
import time
import urllib.error
import urllib.request
from typing import Any

ENDED = {"DONE"}
POLL_S = 0.3


class Refused(Exception):
    """The platform said no, or nothing."""


def call(url: str, method: str, path: str, token: str | None = None, body: Any = None) -> Any:
    """One request under /api/v1; its JSON, or `Refused` with the problem's words."""
    request = urllib.request.Request(  # noqa: S310 - the operator's own address
        f"{url.rstrip('/')}/api/v1{path}",
        None if body is None else json.dumps(body).encode(),
        {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})},
        method=method,
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - same
            return json.load(answer)
    except urllib.error.HTTPError as error:
        problem = json.loads(error.read() or b"{}")
        raise Refused(f"{method} {path}: {error.code} {problem.get('code', '')} {problem.get('detail', '')}") from None
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise Refused(f"{url} does not answer: {error}") from None


def trigger(url: str, email: str, password: str, wait_s: float) -> dict[str, Any] | None:
    """Close the window; its batch as it stands when ended or when the time is up, ``None`` for an empty window."""
    token = call(url, "POST", "/login", body={"email": email, "password": password})["access_token"]
    batch_id = call(url, "POST", "/admin/execution/run", token, {})["batch_id"]
    if batch_id is None:
        return None
    deadline = time.monotonic() + wait_s
    while True:
        batch: dict[str, Any] = call(url, "GET", f"/admin/batches/{batch_id}", token)
        if batch["status"] in ENDED or time.monotonic() > deadline:
            return batch
        time.sleep(POLL_S)


def table(columns: list[str], rows: list[list[str]]) -> str:
    """Columns aligned: the first to the left, figures to the right."""
    widths = [max(len(row[i]) for row in [columns, *rows]) for i in range(len(columns))]
    lines = []
    for first, *figures in [columns, *rows]:
        cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(figures, widths[1:], strict=True))]
        lines.append("  ".join(cells))
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def render(batch: dict[str, Any]) -> str:
    """The batch with its blocks."""
    saved = batch["saved"]
    head = (
        f"Batch {batch['id']}: {batch['status']} ({batch['reason']})\n"
        f"{batch['user_orders']} orders in, {batch['broker_orders']} broker orders out; "
        f"saved {saved['orders']} orders, ₹{saved['rupees']}, {saved['seconds']} s\n"
    )
    rows = [
        [
            block["instrument"],
            block["side"],
            str(len(block["allocations"])),
            str(block["quantity"]),
            str(block["filled_quantity"]),
            str(block["average_price"] or "-"),
            str(block["value"]),
        ]
        for block in batch["blocks"]
    ]
    return head + table(["instrument", "side", "orders", "quantity", "filled", "average", "value"], rows)


def main(arguments: list[str] | None = None) -> int:
    """0 when the window was closed (or empty), 1 when the platform refused."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="the gateway (default %(default)s)")
    parser.add_argument(
        "--email", default=os.environ.get("SARAS_ADMIN_EMAIL", "admin@saras.local"), help="the administrator"
    )
    parser.add_argument("--wait", type=float, default=15.0, metavar="SECONDS", help="wait this long for the end (15)")
    options = parser.parse_args(arguments)
    password = os.environ.get("SARAS_ADMIN_PASSWORD") or getpass.getpass(f"Password of {options.email}: ")
    try:
        batch = trigger(options.url, options.email, password, options.wait)
    except Refused as refusal:
        print(f"trigger_trades: {refusal}", file=sys.stderr)
        return 1
    print("The window was empty: nothing was sent." if batch is None else render(batch))
    return 0


if __name__ == "__main__":
    sys.exit(main())
