"""``api-gateway api``: serve the door."""

import argparse
import os
import sys

from api_gateway.app import create_app
from api_gateway.server import allow_many_sockets, uvicorn_config
from api_gateway.settings import GatewaySettings
from saras_common import logs
from saras_common.process import serve


def main() -> None:
    """Read the settings and run until told to stop."""
    parser = argparse.ArgumentParser(prog="api-gateway", description="The only door of the platform.")
    parser.add_argument("command", choices=["api"], nargs="?", default="api")
    parser.parse_args()
    settings = GatewaySettings()
    logs.setup(settings.service, settings.log_level)
    if not settings.service_urls():
        print("api-gateway: no service has an address; set USER_SERVICE_URL and its like", file=sys.stderr)
        raise SystemExit(os.EX_CONFIG)
    allow_many_sockets(settings.max_connections)
    serve(uvicorn_config(create_app(settings), settings), settings)


if __name__ == "__main__":
    main()
