#!/usr/bin/env python3
"""What 1,000 to 1,000,000 users need, from the unit costs in bench/results.json; the busiest minute is played.

    scripts/scale.py [USERS…] [--orders-a-day 1] [--instruments 500] [--seed 1] [--most-accounts 10]

How it is worked out: `saras.growth`. The pattern is an assumption: change it and look again.
"""

import argparse
import json
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from saras.growth import Pattern, Plan, Waits, accounts_for, plan, read_costs, simulate

RESULTS = Path(__file__).parents[1] / "bench" / "results.json"
USERS = (1_000, 10_000, 100_000, 1_000_000)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Pattern()
    parser.add_argument("users", nargs="*", type=int, default=USERS)
    parser.add_argument("--orders-a-day", type=float, default=default.orders_a_day)
    parser.add_argument("--instruments", type=int, default=default.instruments)
    parser.add_argument("--peak-minute", type=float, default=default.peak_minute, help="share of the day's orders")
    parser.add_argument("--most-accounts", type=int, default=default.most_accounts)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    pattern = Pattern(
        orders_a_day=given.orders_a_day,
        instruments=given.instruments,
        peak_minute=given.peak_minute,
        most_accounts=given.most_accounts,
    )
    costs = read_costs(json.loads(RESULTS.read_text()))
    plans = [plan(costs, users, pattern) for users in given.users]
    waits = [simulate(costs, made, seed=given.seed, pattern=pattern) for made in plans]
    show(plans, waits, pattern)
    return 0


def show(plans: list[Plan], waits: list[Waits], pattern: Pattern) -> None:
    """A column for each number of users."""
    table = Table(title="What more users need")
    table.add_column("users")
    for made in plans:
        table.add_column(f"{made.users:,}", justify="right")
    table.add_row("orders a second, busiest minute", *(f"{made.peak_rate:,.1f}" for made in plans))
    for window_s in pattern.windows_s[:4]:
        needed = [accounts_for(made.users, pattern, window_s) for made in plans]
        table.add_row(f"accounts, windows of {window_s:.0f} s", *(f"{accounts:,}" for accounts in needed))
    table.add_row("window taken, s", *(f"{made.window_s:,.0f}" for made in plans))
    table.add_row("broker accounts", *(f"{made.accounts:,}" for made in plans))
    for part in plans[0].servers:
        table.add_row(part, *(f"{made.servers[part]:,}" for made in plans))
    table.add_row("cores", *(f"{made.cores:,.1f}" for made in plans))
    table.add_row("memory, GB", *(f"{made.memory_gb:,.1f}" for made in plans))
    table.add_row("disk a year, GB", *(f"{made.disk_gb_a_year:,.1f}" for made in plans))
    table.add_row("WAL, MB/s", *(f"{made.wal_mb_s:,.2f}" for made in plans))
    table.add_row("connections", *(f"{made.connections:,}" for made in plans))
    table.add_row("queues", *(f"{made.queues:,}" for made in plans))
    table.add_row("accepted p50 / p99, ms", *("{:,.0f} / {:,.0f}".format(*_ms(each.accepted_s)) for each in waits))
    table.add_row("in the ledger p50 / p99, s", *("{:,.1f} / {:,.1f}".format(*each.filled_s) for each in waits))
    table.add_row("of one of each, at the peak (* the first limit met)")
    for name in plans[0].limits:
        table.add_row(f"  {name}", *(_of(made, name) for made in plans))
    Console(width=120).print(table)


def _of(made: Plan, name: str) -> str:
    return f"{made.limits[name]:,.2f}{' *' if name == made.binds_first else ''}"


def _ms(seconds: tuple[float, float]) -> tuple[float, float]:
    return seconds[0] * 1000, seconds[1] * 1000


if __name__ == "__main__":
    sys.exit(main())
