#!/usr/bin/env python3
"""Order flow at a steady rate for a time: prints how orders were answered, how fast, and what became of them.

Uses the sandbox-only door of the platform that runs on SARAS_HOME for its users, the public API for everything else.
"""

import argparse
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from saras.client import Api, NotReachable
from saras.demo.market import list_quotes
from saras.errors import CannotStart, CommandFailed
from saras.home import Home
from saras.seeding import Seeded, Seeder

PERCENTILES = (50, 95, 99)


@dataclass
class Tally:
    """What one thread saw: seconds by order, answers by status and code."""

    seconds: list[float] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    late_s: float = 0.0


def send_orders(
    url: str, users: Sequence[Seeded], names: Sequence[str], every_s: float, until: float, seed: int
) -> Tally:
    """One order every ``every_s`` until the monotonic instant ``until``, each by another user."""
    dice, tally = random.Random(seed), Tally()
    due = time.monotonic() + dice.random() * every_s
    with Api(url) as api:
        while due < until:
            time.sleep(max(0.0, due - time.monotonic()))
            tally.late_s = max(tally.late_s, time.monotonic() - due)
            due += every_s
            api.token = dice.choice(users).token
            body = {"instrument": dice.choice(names), "quantity": dice.randint(1, 5), "order_type": "MARKET"}
            started = time.monotonic()
            try:
                answer = api.call("POST", "/buy", body)
            except NotReachable:
                tally.answers["no answer"] += 1
                continue
            tally.seconds.append(time.monotonic() - started)
            tally.answers[f"{answer.status} {answer.code}".strip()] += 1
    return tally


def run(url: str, users: Sequence[Seeded], names: Sequence[str], rate: float, seconds: float, threads: int) -> Tally:
    """``rate`` orders a second in all, from ``threads`` threads."""
    tallies: list[Tally] = []
    until = time.monotonic() + seconds

    def work(number: int) -> None:
        tallies.append(send_orders(url, users, names, threads / rate, until, number))

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    whole = Tally(late_s=max((tally.late_s for tally in tallies), default=0.0))
    for tally in tallies:
        whole.seconds += tally.seconds
        whole.answers += tally.answers
    return whole


def percentile(values: Sequence[float], percent: int) -> float:
    """Nearest rank; 0 for none."""
    ranked = sorted(values)
    return ranked[max(0, -(-len(ranked) * percent // 100) - 1)] if ranked else 0.0


def outcome(url: str, users: Sequence[Seeded]) -> Counter[str]:
    """The statuses of all orders of these users."""
    found: Counter[str] = Counter()
    with Api(url) as api:
        for user in users:
            api.token = user.token
            found.update(order["status"] for order in api.pages("/orders"))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when every order got an answer below 500."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--home", type=Path, default=Path(os.environ.get("SARAS_HOME", ".saras")), help="the platform's home"
    )
    parser.add_argument("--rate", type=float, default=100.0, help="orders a second (default 100)")
    parser.add_argument("--seconds", type=float, default=10.0, help="for how long (default 10)")
    parser.add_argument("--users", type=int, default=50, help="how many users send them (default 50)")
    parser.add_argument("--instruments", type=int, default=10, help="on how many instruments (default 10)")
    parser.add_argument("--threads", type=int, default=8, help="connections (default 8)")
    options = parser.parse_args(arguments)
    home = Home(options.home)
    try:
        running = home.get_running()
        people = [(f"load{n:05d}@load.example.com", f"Load {n:05d}") for n in range(options.users)]
        users = Seeder(running.url, home).seed(people, home.vault().get("load_password")["load_password"])
        for user in users:
            with Api(running.url, token=user.token) as api:
                api.post("/funds/deposit", {"amount": "10000000.00"}, key="load-funds")
        with Api(running.url, token=users[0].token) as api:
            names = [quote.instrument for quote in list_quotes(api, options.instruments)]
        tally = run(running.url, users, names, options.rate, options.seconds, options.threads)
        statuses = outcome(running.url, users)
    except (CannotStart, CommandFailed) as error:
        print(f"load: {error}", file=sys.stderr)
        return 1
    times = "  ".join(f"p{percent} {percentile(tally.seconds, percent) * 1000:.1f} ms" for percent in PERCENTILES)
    print(f"{len(tally.seconds)} orders, {len(tally.seconds) / options.seconds:.0f} a second: {times}")
    print(f"latest start behind schedule {tally.late_s * 1000:.0f} ms")
    print("answers: " + ", ".join(f"{answer}: {count}" for answer, count in sorted(tally.answers.items())))
    print("orders now: " + ", ".join(f"{status}: {count}" for status, count in sorted(statuses.items())))
    return 0 if all(answer[0] in "234" for answer in tally.answers) else 1


if __name__ == "__main__":
    sys.exit(main())
