"""``python -m user_service api | relay | worker | migrate | rotate-keys``: one process each."""

import argparse
import sys
from datetime import timedelta

from saras_common import logs
from saras_common.clock import SystemClock
from saras_common.db import migrate
from saras_common.metrics import Metrics
from saras_common.process import run_workers, serve_api
from user_service import usecases
from user_service.app import create_app, first_start, wire, workers
from user_service.settings import Settings


def main(arguments: list[str] | None = None) -> None:
    """The command of this service."""
    parser = argparse.ArgumentParser(prog="user-service", description="People: login, tokens and keys, KYC, roles.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("api", help="serve HTTP")
    commands.add_parser("relay", help="carry the outbox to the bus")
    commands.add_parser("worker", help="the minute's upkeep: key age, expired rows")
    commands.add_parser("migrate", help="bring the schema to its head (DATABASE_URL of the migrating role)")
    rotation = commands.add_parser("rotate-keys", help="make a new signing key")
    rotation.add_argument("--compromised", action="store_true", help="erase all others at once")
    chosen = parser.parse_args(arguments)
    settings = Settings()
    logs.setup(settings.service, settings.log_level)
    if chosen.command == "api":
        _serve(settings)
    elif chosen.command == "migrate":
        migrate(settings.database_url.get_secret_value(), "user_service")
    elif chosen.command == "rotate-keys":
        _rotate(settings, is_compromised=chosen.compromised)
    else:
        _work(settings, "relay" if chosen.command == "relay" else "upkeep")


def _serve(settings: Settings) -> None:
    password = first_start(settings)
    if password is not None:
        print(f"administrator {settings.admin_email} password {password} (shown once)", file=sys.stderr)
    serve_api(settings, create_app(settings))


def _work(settings: Settings, name: str) -> None:
    metrics = Metrics()
    chosen = [worker for worker in workers(settings, metrics=metrics) if worker.name.endswith(name)]
    sys.exit(run_workers(settings, chosen, metrics))


def _rotate(settings: Settings, *, is_compromised: bool) -> None:
    wiring = wire(settings, clock=SystemClock())
    context = wiring.context
    try:
        made = usecases.rotate_keys(
            context.database, context.vault, context.clock, max_age=timedelta(0), is_compromised=is_compromised
        )
    finally:
        wiring.close()
    print(f"new signing key {made}")


if __name__ == "__main__":
    main()
