"""The command line: `saras up`, `saras demo` and the administrator's commands."""

import argparse
import sys
from collections.abc import Sequence

from rich.console import Console

from saras.errors import CannotStart, CommandFailed
from saras.settings import PlatformSettings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code. Expected failures are one line on standard error."""
    options = _parser().parse_args(arguments)
    console = Console()
    try:
        settings = PlatformSettings.from_environment()
        if getattr(options, "spread", False):
            settings = settings.model_copy(update={"layout": "spread"})
        return _run(options, settings, console)
    except (CannotStart, CommandFailed) as error:
        Console(stderr=True, soft_wrap=True).print(f"saras: {error}", style="red", highlight=False, markup=False)
        return 1
    except KeyboardInterrupt:
        return 130


def _run(options: argparse.Namespace, settings: PlatformSettings, console: Console) -> int:
    if options.command == "up":
        return _up(options, settings, console)
    if options.command in {"migrate", "parked"}:
        return _run_on_database(options, settings, console)
    if options.command == "down":
        from saras.spread.control import stop_detached

        return stop_detached(settings, console)
    if options.command == "restart":
        from saras.home import Home
        from saras.spread.restart import restart

        return restart(Home(settings.home), options.services, console)
    if options.command == "demo":
        from saras.demo import run_demo

        return run_demo(settings, console, users=options.users, orders=options.orders, keep=options.keep)
    return _run_admin(options, settings, console)


def _run_on_database(options: argparse.Namespace, settings: PlatformSettings, console: Console) -> int:
    if options.command == "migrate":
        from saras.migrating import migrate_all

        return migrate_all(settings, console)
    from saras.parked import run_parked

    return run_parked(settings, options.event, console)


def _up(options: argparse.Namespace, settings: PlatformSettings, console: Console) -> int:
    if options.detach:
        from saras.spread.control import start_detached

        given = [("--demo-users", options.demo_users), ("--i-am-licensed", options.i_am_licensed)]
        return start_detached(settings, [flag for flag, is_given in given if is_given], console)
    from saras.up import run_platform

    return run_platform(settings, console, demo_users=options.demo_users, is_licensed=options.i_am_licensed)


def _run_admin(options: argparse.Namespace, settings: PlatformSettings, console: Console) -> int:
    from saras.commands import Commands

    commands = Commands(settings, console)
    match options.command:
        case "trigger":
            return commands.trigger(wait_s=options.wait)
        case "halt":
            return commands.halt(options.reason)
        case "resume":
            return commands.resume()
        case "reconcile":
            return commands.reconcile()
        case "verify":
            return commands.verify(options.batch) if options.batch else commands.verify_evidence()
        case _:
            return commands.status()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="saras", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="start the whole platform in this process; Ctrl-C ends it")
    up.add_argument("--demo-users", action="store_true", help="make a few users with funds and print their logins")
    up.add_argument("--spread", action="store_true", help="each service's processes apart (SARAS_LAYOUT=spread)")
    up.add_argument("--detach", action="store_true", help="come back when it is ready; `saras down` ends it")
    up.add_argument("--i-am-licensed", action="store_true", help="confirm live mode (SARAS_MODE=live)")
    demo = commands.add_parser("demo", help="a day in the life on a throw-away home; fails unless every book balances")
    demo.add_argument("--users", type=int, default=200, help="how many users (default 200)")
    demo.add_argument("--orders", type=int, default=2000, help="how many orders (default 2000)")
    demo.add_argument("--keep", action="store_true", help="keep the demo's home to look at")
    demo.add_argument("--spread", action="store_true", help="on a platform of many processes")
    commands.add_parser("migrate", help="roles and schemas of every service on DATABASE_URL, as its administrator")
    commands.add_parser("down", help="end the platform that runs on this home")
    restart = commands.add_parser("restart", help="spread out: schemas, then each process anew, without a request lost")
    restart.add_argument("services", metavar="SERVICE", nargs="*", help="only these; all of them by default")
    commands.add_parser("status", help="what is running and how it is")
    trigger = commands.add_parser("trigger", help="close the open window now and show the batch")
    trigger.add_argument("--wait", type=float, default=15.0, metavar="SECONDS", help="wait this long for its end (15)")
    halt = commands.add_parser("halt", help="the kill switch: no new order leaves")
    halt.add_argument("reason", help="kept with the switch and shown to everybody who asks")
    commands.add_parser("resume", help="take the kill switch back")
    commands.add_parser("reconcile", help="compare the book with the broker; exits 1 when they differ")
    parked = commands.add_parser("parked", help="events that consumers gave up on; with an id, hand that one back")
    parked.add_argument("event", metavar="EVENT", nargs="?", help="its id, once the cause is mended")
    verify = commands.add_parser("verify", help="recompute a batch's allocation, or check all evidence of this home")
    verify.add_argument(
        "batch", metavar="BATCH", nargs="?", help="the batch's id; without it, audit log and certificates"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
