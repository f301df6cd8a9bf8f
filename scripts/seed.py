#!/usr/bin/env python3
"""Fill a sandbox platform that runs here: users, their funds, and holdings bought through the platform itself.

Users and sessions are made by the sandbox-only door, so this needs the platform's home (SARAS_HOME); the rest is the
public API. Running it again adds no user and no deposit, but buys again.
"""

import argparse
import os
import random
import secrets
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from saras.client import Api
from saras.demo.market import list_quotes
from saras.demo.people import People, Person, make_people
from saras.errors import CannotStart, CommandFailed
from saras.home import Home
from saras.seeding import Seeder

SETTLE_S = 60.0


def buy_holdings(people: People, admin: Api, per_user: int, dice: random.Random) -> int:
    """Every user buys ``per_user`` instruments; the window is closed by hand. How many orders were taken."""
    names = [quote.instrument for quote in list_quotes(admin, 20)]

    def place(api: Api, _person: Person) -> int:
        orders = [
            {"side": "BUY", "instrument": name, "quantity": dice.randint(1, 20), "order_type": "MARKET"}
            for name in dice.sample(names, per_user)
        ]
        answer = api.post("/orders/batch", {"orders": orders, "atomic": False}, key=secrets.token_hex(8))
        return sum(1 for item in answer["items"] if "id" in item)

    taken = sum(people.each(place))
    time.sleep(1.0)  # what was just accepted reaches the executor
    admin.post("/admin/execution/run")
    deadline = time.monotonic() + SETTLE_S
    while time.monotonic() < deadline:
        if not any(people.each(lambda api, _: api.get("/orders", status="WORKING", limit=1)["items"])):
            break
        time.sleep(0.5)
    return taken


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when all is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--home", type=Path, default=Path(os.environ.get("SARAS_HOME", ".saras")), help="the platform's home"
    )
    parser.add_argument("--users", type=int, default=100, help="how many (default 100)")
    parser.add_argument("--prefix", default="seed", help="of their email addresses (default seed)")
    parser.add_argument("--funds", default="500000.00", help="rupees each pays in, once (default 500000.00)")
    parser.add_argument("--holdings", type=int, default=3, help="instruments each buys (default 3, 0 for none)")
    parser.add_argument("--seed", type=int, default=1, help="of the dice (default 1)")
    options = parser.parse_args(arguments)
    home = Home(options.home)
    try:
        url = home.get_running().url
        password = home.vault().get("seed_password")["seed_password"]
        people = make_people(Seeder(url, home), url, options.users, prefix=options.prefix, password=password)
        people.each(lambda api, _: api.post("/funds/deposit", {"amount": options.funds}, key=f"seed-{options.prefix}"))
        print(f"{options.users} users with ₹{options.funds} each; password of each: {password}")
        login = home.find_credentials()
        if options.holdings and login is not None:
            with Api(url) as admin:
                admin.login(login.email, login.password)
                taken = buy_holdings(people, admin, options.holdings, random.Random(options.seed))
            print(f"{taken} buy orders taken for their holdings")
        people.close()
    except (CannotStart, CommandFailed) as error:
        print(f"seed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
