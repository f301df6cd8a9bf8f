"""``python -m notification_service api | consume | worker | migrate``: one process each."""

import argparse
import sys

from notification_service.app import create_app, workers
from notification_service.settings import Settings
from saras_common import logs
from saras_common.db import migrate
from saras_common.metrics import Metrics
from saras_common.process import run_workers, serve_api


def main(arguments: list[str] | None = None) -> None:
    """The command of this service."""
    parser = argparse.ArgumentParser(prog="notification-service", description="What happened, told once.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("api", help="serve HTTP")
    commands.add_parser("consume", help="turn events into messages; the beat")
    commands.add_parser("worker", help="send what is due: a Celery worker on RabbitMQ, else a loop of our own")
    commands.add_parser("migrate", help="bring the schema to its head (DATABASE_URL of the migrating role)")
    command = parser.parse_args(arguments).command
    settings = Settings()
    logs.setup(settings.service, settings.log_level)
    if command == "api":
        serve_api(settings, create_app(settings))
    elif command == "migrate":
        migrate(settings.database_url.get_secret_value(), "notification_service")
    elif command == "consume":
        _work(settings, frozenset({"consumer", "market", "feed", "beat"}))
    elif settings.has_task_queue:
        from notification_service.celery_worker import run_worker

        run_worker(settings)
    else:
        _work(settings, frozenset({"sending"}))


def _work(settings: Settings, names: frozenset[str]) -> None:
    publish = None
    if settings.has_task_queue:
        from notification_service.celery_app import connect, publisher

        publish = publisher(connect(settings))
    metrics = Metrics()
    loops = workers(settings, metrics=metrics, publish=publish)
    chosen = [worker for worker in loops if worker.name.rpartition(".")[2] in names]
    sys.exit(run_workers(settings, chosen, metrics))


if __name__ == "__main__":
    main()
