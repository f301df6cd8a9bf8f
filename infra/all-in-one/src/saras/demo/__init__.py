"""`saras demo`: a platform on a throw-away home, a crowd of users, faults, and a proof that everything balances."""

import shutil
import tempfile
import time
from pathlib import Path

from rich.console import Console

from saras.client import Api, Sandbox
from saras.demo.baskets import play_baskets
from saras.demo.flow import Crowd
from saras.demo.market import list_quotes, wait_tradable
from saras.demo.messages import print_messages
from saras.demo.people import make_people
from saras.demo.performance import show_performance
from saras.demo.proof import collect, prove
from saras.demo.report import (
    print_batches,
    print_checks,
    print_credits,
    print_fairness,
    print_fault,
    print_reconciliation,
    print_statements,
)
from saras.demo.story import Story
from saras.errors import CannotStart
from saras.home import Home
from saras.process import ADMIN_EMAIL, ADMIN_PASSWORD, PlatformProcess
from saras.progress import Progress
from saras.seeding import Seeder
from saras.settings import PlatformSettings

SEED = 20
INSTRUMENTS = 30
LEAST_ORDERS = 40
ENVIRONMENT = {
    "SARAS_MODE": "sandbox",
    "DATABASE_URL": "",
    "BROKER_URL": "",
    "REDIS_URL": "",
    "SARAS_WINDOW_S": "600",
    "RATE_ADDRESS": "1000000/second",
    "SANDBOX_PRICES": "fixed",
    "NOTIFY_ALLOW_LOOPBACK": "1",
}
"""Closed by hand, windows are the story's; one address speaks for two hundred users; a webhook is received here."""


def run_demo(settings: PlatformSettings, console: Console, *, users: int, orders: int, keep: bool) -> int:
    """Play the demo and print it; 0 only when every check is good. The user's own home is not touched."""
    if users < 1 or orders < LEAST_ORDERS:
        raise CannotStart(f"a demo needs at least one user and {LEAST_ORDERS} orders")
    started = time.monotonic()
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder = Path(tempfile.mkdtemp(prefix="demo-", dir=settings.home))
    platform = PlatformProcess(folder / "home", {**ENVIRONMENT, "SARAS_LAYOUT": settings.layout})
    progress = Progress(console)
    good = False
    try:
        with progress.step("the demo's own platform"):
            platform.start()
        good = _play(platform, progress, console, users=users, orders=orders)
    finally:
        platform.stop()
        if good and not keep:
            shutil.rmtree(folder)
        else:
            console.print(f"The demo's home is kept: {folder}", soft_wrap=True)
    console.print(f"{'Everything balances' if good else 'NOT EVERYTHING BALANCES'}: {time.monotonic() - started:.0f} s")
    return 0 if good else 1


def _play(platform: PlatformProcess, progress: Progress, console: Console, *, users: int, orders: int) -> bool:
    admin = Api(platform.url)
    admin.login(ADMIN_EMAIL, ADMIN_PASSWORD)
    sandbox = Sandbox(platform.sandbox_url)
    with progress.step(f"{users} users with funds"):
        people = make_people(Seeder(platform.url, Home(platform.home)), platform.url, users)
        quotes = list_quotes(admin, INSTRUMENTS)
        people.each(lambda api, _person: wait_tradable(api, quotes), people.people[:1])
        story = Story(admin, sandbox, people, quotes, Crowd(SEED, users, quotes), progress.say)
        story.fund()
    with progress.step(f"{orders} orders"):
        story.play(orders)
    with progress.step("everything the books and the broker say"):
        seen = collect(story)
        checks = prove(story, seen)
    print_batches(console, story, seen.batches)
    print_fairness(console, seen.batches)
    print_credits(console, seen.batches)
    print_fault(console, seen)
    print_statements(console, story)
    print_messages(console, story)
    print_reconciliation(console, seen)
    checks += play_baskets(console, story)
    checks += show_performance(console, story, platform.url, platform.home.parent.parent / "demo-charts")
    print_checks(console, checks)
    people.close()
    return all(check.ok for check in checks)
