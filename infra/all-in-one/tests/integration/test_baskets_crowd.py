"""A crowd rebalances one 20-stock smallcase at once, with kill -9 in the middle. ``SARAS_CROWD=1000`` for the whole."""

import itertools
import os
import time
from dataclasses import dataclass

import pytest

from saras.commands import reconcile
from saras.demo.market import list_quotes, paise, wait_tradable
from saras.demo.oracle import ORDER_CAME, broker_totals
from saras.demo.people import make_people
from saras.demo.story import patient
from saras.home import Home
from saras.seeding import Seeder

CROWD = int(os.environ.get("SARAS_CROWD", "24"))
STOCKS = 20
MOST_BROKER_ORDERS = 40
QUIET_S = 2.0 + CROWD / 100
ACTIVE = {"QUEUED", "SELLING", "BUYING"}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240 + CROWD)]


@dataclass
class Crowd:
    """One platform, its people, one smallcase."""

    site: object
    people: object
    case: str = ""

    def each(self, act, people=None):
        return self.people.each(act, people)

    def settle(self, runs, *, until_s=240 + CROWD):
        """Close windows until no run is active; the runs by person."""
        deadline = time.monotonic() + until_s
        while True:
            assert time.monotonic() < deadline, "the runs do not end"
            self.close_full_window()
            some = {number: runs[number] for number in list(runs)[:: max(1, CROWD // 8)]}
            if any(state["status"] in ACTIVE for state in self.look(some).values()):
                continue
            states = self.look(runs)
            if all(state["status"] not in ACTIVE for state in states.values()):
                return states

    def close_full_window(self):
        """Close the window once no more orders come into it, as whoever trades once a day does."""
        waiting, since = -1, time.monotonic()
        with self.site.admin() as admin:
            while time.monotonic() - since < QUIET_S:
                now = read(admin, "/admin/execution")["window"]["orders"]
                if now != waiting:
                    waiting, since = now, time.monotonic()
                time.sleep(0.2)
            if waiting:
                admin.post("/admin/execution/run")

    def look(self, runs):
        found = self.each(lambda api, person: read(api, run_path(runs[person.number])), self.of(runs))
        return dict(zip(runs, found, strict=True))

    def of(self, numbers):
        return [self.people.people[number] for number in numbers]

    def broker_orders(self):
        return [item for item in self.site.sandbox.journal() if item["event"] in ORDER_CAME]


def read(api, path):
    """The body of a GET, whose sender waits as long as an overloaded platform asks for."""
    answer = patient(lambda: api.call("GET", path))
    assert answer.ok, answer.describe()
    return answer.body


def start(api, path, body, key):
    """A run's first answer; asked for again under its key while the platform is too busy to give it."""
    answer = patient(lambda: api.call("POST", path, body, key=key))
    assert answer.ok, answer.describe()
    return answer.body


def run_path(run):
    return f"/investments/{run['basket_id']}/runs/{run['run_id']}"


@pytest.fixture
def crowd(journey):
    site = journey(RATE_USER="1000000/second", ACCESS_TTL_S="3600")
    people = make_people(Seeder(site.platform.url, Home(site.platform.home)), site.platform.url, CROWD)
    with site.admin() as admin:
        quotes = list_quotes(admin, STOCKS)
        people.each(lambda api, _: wait_tradable(api, quotes), people.people[:1])
        made = Crowd(site, people)
        made.case = f"/smallcase/{admin.post('/smallcase', composition(quotes, 0))['id']}"
    people.each(lambda api, person: api.post("/funds/deposit", {"amount": "2000000"}, key=f"in-{person.number}"))
    yield made, quotes
    people.close()


def composition(quotes, shift):
    """Half of the constituents a third heavier than the others; ``shift`` says which half."""
    weights = itertools.cycle(["0.0575", "0.0425"] if shift else ["0.0425", "0.0575"])
    return {
        "name": "Twenty",
        "visibility": "public",
        "weighting": "custom",
        "constituents": [
            {"instrument": quote.instrument, "weight": weight} for quote, weight in zip(quotes, weights, strict=False)
        ],
    }


def kill_in_the_middle(crowd, runs):
    """kill -9 as soon as anybody's sells are filled: some runs are told, some plan buys, some wait."""
    crowd.close_full_window()
    sample = crowd.of(list(runs)[:: max(1, CROWD // 8)])
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        states = crowd.each(lambda api, person: read(api, run_path(runs[person.number])), sample)
        if any(leg["filled_quantity"] for state in states for leg in state["legs"]):
            break
        time.sleep(0.02)
    crowd.site.platform.kill()
    return [state["status"] for state in states]


def test_a_crowd_rebalances_in_few_broker_orders_and_survives_a_kill(crowd):
    crowd, quotes = crowd
    started = time.monotonic()
    invested = crowd.each(
        lambda api, person: start(
            api, f"{crowd.case}/invest", {"amount": str(400_000 + 1000 * (person.number % 700))}, f"i-{person.number}"
        )
    )
    crowd.settle(dict(enumerate(invested)))
    bought_s, began = time.monotonic() - started, len(crowd.broker_orders())
    with crowd.site.admin() as admin:
        admin._body("PUT", crowd.case, composition(quotes, 1))
    started = time.monotonic()
    consent = crowd.each(
        lambda api, person: start(api, f"{crowd.case}/rebalance", {"full": True}, f"r-{person.number}")
    )
    placed_s = time.monotonic() - started
    orders = sum(len(answer["orders"]) for answer in consent)
    runs = dict(enumerate(consent))
    before = kill_in_the_middle(crowd, runs)
    crowd.site.restart()
    done = crowd.settle(runs)
    rebalanced_s = time.monotonic() - started
    broker = len(crowd.broker_orders()) - began
    print(  # noqa: T201 - the figures of a full-size run
        f"{CROWD} users: invested in {bought_s:.0f} s; {orders} sells accepted in {placed_s:.1f} s;"
        f" killed while {sorted(set(before))}; rebalanced in {rebalanced_s:.0f} s with {broker} broker orders"
    )
    assert broker <= MOST_BROKER_ORDERS
    assert {state["status"] for state in done.values()} == {"COMPLETED"}
    check_everybody(crowd, runs, done)
    with crowd.site.admin() as admin:
        assert reconcile(admin)["balanced"]
    totals = broker_totals(crowd.site.sandbox.journal())
    assert totals.repeated_tags == []
    assert totals.repeated_trades == []


def check_everybody(crowd, runs, done):
    def look(api, person):
        return read(api, f"/investments/{runs[person.number]['basket_id']}"), read(api, "/holdings")["items"]

    for number, (basket, items) in enumerate(crowd.each(look)):
        held = {row["instrument"]: row["quantity"] for row in basket["holdings"] if row["quantity"]}
        assert held == {row["instrument"]: row["quantity"] for row in items if row["quantity"]}
        assert basket["version"] == 2
        worth = paise(basket["value"]) + paise(done[number]["unspent"])
        for row in basket["holdings"]:
            target = worth * int(float(row["target_weight"]) * 10**6 + 0.5) // 10**6
            assert abs(row["quantity"] * paise(row["last_price"]) - target) <= paise(row["last_price"]), (number, row)
