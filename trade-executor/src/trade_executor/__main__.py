"""``python -m trade_executor api | consume | relay | worker | migrate``: one process each."""

import argparse
import sys

from saras_common import logs
from saras_common.db import migrate
from saras_common.metrics import Metrics
from saras_common.process import run_workers, serve_api
from trade_executor.app import create_app, workers
from trade_executor.settings import Settings


def main(arguments: list[str] | None = None) -> None:
    """The command of this service."""
    parser = argparse.ArgumentParser(prog="trade-executor", description="The one hand on the broker.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("api", help="serve HTTP")
    commands.add_parser("consume", help="take orders from the bus into windows")
    commands.add_parser("relay", help="carry the outbox to the bus")
    commands.add_parser("worker", help="lead the broker accounts and read market data")
    commands.add_parser("migrate", help="bring the schema to its head (DATABASE_URL of the migrating role)")
    chosen = parser.parse_args(arguments)
    settings = Settings()
    logs.setup(settings.service, settings.log_level)
    if chosen.command == "api":
        serve_api(settings, create_app(settings))
    elif chosen.command == "migrate":
        migrate(settings.database_url.get_secret_value(), "trade_executor")
    else:
        _work(settings, chosen.command)


def _work(settings: Settings, name: str) -> None:
    metrics = Metrics()
    chosen = [worker for worker in workers(settings, metrics=metrics) if worker.name.endswith(name)]
    sys.exit(run_workers(settings, chosen, metrics))


if __name__ == "__main__":
    main()
