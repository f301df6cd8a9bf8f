"""``python -m portfolio_service api | consume | relay | worker | migrate``: one process each."""

import argparse
import gc
import sys

from portfolio_service.app import create_app, workers
from portfolio_service.settings import Settings
from saras_common import logs
from saras_common.db import migrate
from saras_common.metrics import Metrics
from saras_common.process import run_workers, serve_api

_WORKERS = {"consume": ("consumer", "totals", "market"), "relay": ("relay",), "worker": ("upkeep",)}


def main(arguments: list[str] | None = None) -> None:
    """The command of this service."""
    parser = argparse.ArgumentParser(prog="portfolio-service", description="The book: funds, orders, ledger, holdings.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("api", help="serve HTTP")
    commands.add_parser("consume", help="apply what the executor, the users and the market tell")
    commands.add_parser("relay", help="carry the outbox to the bus")
    commands.add_parser("worker", help="upkeep: old keys and inbox rows, the check of the books")
    commands.add_parser("migrate", help="bring the schema to its head (DATABASE_URL of the migrating role)")
    command = parser.parse_args(arguments).command
    settings = Settings()
    logs.setup(settings.service, settings.log_level)
    # a delivery or a batch makes tens of thousands of small objects that all die together; looking for cycles among
    # them every seven hundred costs a third of the time
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    if command == "api":
        serve_api(settings, create_app(settings))
    elif command == "migrate":
        migrate(settings.database_url.get_secret_value(), "portfolio_service")
    else:
        _work(settings, _WORKERS[command])


def _work(settings: Settings, names: tuple[str, ...]) -> None:
    metrics = Metrics()
    chosen = [worker for worker in workers(settings, metrics=metrics) if worker.name.rpartition(".")[2] in names]
    sys.exit(run_workers(settings, chosen, metrics))


if __name__ == "__main__":
    main()
