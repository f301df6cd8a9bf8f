"""``python -m analytics_service api | consume | relay | worker | migrate``: one process each."""

import argparse
import sys

from analytics_service.app import create_app, workers
from analytics_service.settings import Settings
from saras_common import logs
from saras_common.db import migrate
from saras_common.metrics import Metrics
from saras_common.process import run_workers, serve_api

_WORKERS = {"consume": "consumer", "relay": "relay", "worker": "upkeep"}


def main(arguments: list[str] | None = None) -> None:
    """The command of this service."""
    parser = argparse.ArgumentParser(prog="analytics-service", description="Trades, marks, returns, risk, reports.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("api", help="serve HTTP")
    commands.add_parser("consume", help="take in executions, recorded trades, cash movements and prices")
    commands.add_parser("relay", help="carry the outbox to the bus")
    commands.add_parser("worker", help="the session's close, reports, upkeep")
    commands.add_parser("migrate", help="bring the schema to its head (DATABASE_URL of the migrating role)")
    command = parser.parse_args(arguments).command
    settings = Settings()
    logs.setup(settings.service, settings.log_level)
    if command == "api":
        serve_api(settings, create_app(settings))
    elif command == "migrate":
        migrate(settings.database_url.get_secret_value(), "analytics_service")
    else:
        _work(settings, _WORKERS[command])


def _work(settings: Settings, name: str) -> None:
    metrics = Metrics()
    chosen = [worker for worker in workers(settings, metrics=metrics) if worker.name.endswith(name)]
    sys.exit(run_workers(settings, chosen, metrics))


if __name__ == "__main__":
    main()
