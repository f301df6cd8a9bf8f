"""A container's health: its API's liveness, or that of the loops on their probe port. Exit code 0 is good."""

import http.client
import os
import sys

TIMEOUT_S = 4.0


def main() -> int:
    """Ask this container itself."""
    port = int(os.environ.get("PROBE_PORT") or 0) or int(os.environ.get("SANDBOX_PORT") or os.environ["PORT"])
    path = "/" if "SANDBOX_PORT" in os.environ else "/health/live"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", path)
        return 0 if connection.getresponse().status < http.client.INTERNAL_SERVER_ERROR else 1
    except OSError:
        return 1


if __name__ == "__main__":
    sys.exit(main())
