"""``python -m notification_service api | consume | migrate``: one process each."""

import argparse
import signal
import threading

import uvicorn

from notification_service.app import create_app, workers
from notification_service.settings import Settings
from saras_common import logs
from saras_common.db import migrate


def main(arguments: list[str] | None = None) -> None:
    """The command of this service."""
    parser = argparse.ArgumentParser(prog="notification-service", description="What happened, told once.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("api", help="serve HTTP")
    commands.add_parser("consume", help="turn events into messages")
    commands.add_parser("migrate", help="bring the schema to its head (DATABASE_URL of the migrating role)")
    command = parser.parse_args(arguments).command
    settings = Settings()
    logs.setup(settings.service, settings.log_level)
    if command == "api":
        uvicorn.run(create_app(settings), host=settings.host, port=settings.port, http="httptools", access_log=False)
    elif command == "migrate":
        migrate(settings.database_url.get_secret_value(), "notification_service")
    else:
        _work(settings, frozenset({"consumer", "market", "feed", "feed-upkeep"}))


def _work(settings: Settings, names: frozenset[str]) -> None:
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
