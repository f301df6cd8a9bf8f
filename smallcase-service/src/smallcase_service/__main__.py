"""``python -m smallcase_service api | consume | relay | worker | migrate``: one process each."""

import argparse
import signal
import threading

import uvicorn

from saras_common import logs
from saras_common.db import migrate
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
        uvicorn.run(create_app(settings), host=settings.host, port=settings.port, http="httptools", access_log=False)
    elif command == "migrate":
        migrate(settings.database_url.get_secret_value(), "smallcase_service")
    else:
        _work(settings, _WORKERS[command])


def _work(settings: Settings, names: tuple[str, ...]) -> None:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    chosen = [worker for worker in workers(settings) if worker.name.rpartition(".")[2] in names]
    threads = [threading.Thread(target=worker.run, args=(stop,), name=worker.name) for worker in chosen]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
