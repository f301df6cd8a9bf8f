"""``python -m smallcase_service api | consume | relay | worker | migrate``: one process each."""

import argparse
import sys

from saras_common import logs
from saras_common.db import migrate
from saras_common.metrics import Metrics
from saras_common.process import run_workers, serve_api
from smallcase_service.app import create_app, workers
from smallcase_service.settings import Settings

_WORKERS = {"consume": ("consumer", "market"), "relay": ("relay",), "worker": ("runs", "watch", "upkeep")}


def main(arguments: list[str] | None = None) -> None:
    """The command of this service."""
    parser = argparse.ArgumentParser(prog="smallcase-service", description="Baskets: compose, invest, rebalance, SIP.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("api", help="serve HTTP")
    commands.add_parser("consume", help="apply what the book and the market tell")
    commands.add_parser("relay", help="carry the outbox to the bus")
    commands.add_parser("worker", help="drive runs; watch drift and instalments; upkeep")
    commands.add_parser("migrate", help="bring the schema to its head (DATABASE_URL of the migrating role)")
    command = parser.parse_args(arguments).command
    settings = Settings()
    logs.setup(settings.service, settings.log_level)
    if command == "api":
        serve_api(settings, create_app(settings))
    elif command == "migrate":
        migrate(settings.database_url.get_secret_value(), "smallcase_service")
    else:
        _work(settings, _WORKERS[command])


def _work(settings: Settings, names: tuple[str, ...]) -> None:
    metrics = Metrics()
    chosen = [worker for worker in workers(settings, metrics=metrics) if worker.name.rpartition(".")[2] in names]
    sys.exit(run_workers(settings, chosen, metrics))


if __name__ == "__main__":
    main()
