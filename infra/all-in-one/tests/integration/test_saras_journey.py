"""The journey of the platform's main job over HTTP alone, on both buses and spread out, with all that brokers do.

The tests of the spread-out layout share one platform: it has two dozen processes to start.
"""

import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

from saras.client import NotReachable
from saras.demo.flow import rupees
from saras.demo.market import list_quotes, paise
from saras.fleet import SERVICES
from saras.home import Home
from saras.settings import child_environment
from saras.spread.roll import read_roll, state_of
from saras_common.testing import PrivateRabbit, PrivateRedis

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

A, B, C, D = "NSE:INFY", "NSE:TCS", "NSE:RELIANCE", "NSE:HDFCBANK"
SERVERS = ("redis", "rabbitmq", "postgresql")
KILLED = (
    *("api-gateway.api", "user-service.api", "portfolio-service.api", "portfolio-service.consume"),
    *("trade-executor.worker", "trade-executor.relay", "redis"),
)
"""One of each sort; `make prove only=processes` kills them all, often."""

RESTARTED = ("api-gateway", "portfolio-service")
OTHERS = ("NSE:ITC", "NSE:SBIN", "NSE:WIPRO", "NSE:BEL", "NSE:ONGC", "NSE:NTPC")


def prices_of(journey, *names):
    with journey.admin() as admin:
        items = admin.get("/quotes", instruments=",".join(names))["items"]
    return {item["instrument"]: item["last_price"] for item in items}


def block_of(batch, instrument, side="BUY"):
    (block,) = [b for b in batch["blocks"] if (b["instrument"], b["side"]) == (instrument, side)]
    return block


def cancel_half_way(world, block, price):
    """A quarter of a partly filled block cancels, then its rest is filled."""
    kept = {order_id: world.order(order_id)["filled_quantity"] for order_id in block[::4]}
    answers = [world.cancel(order_id) for order_id in kept]
    assert answers[0].ok
    # cutting the broker order lets the sandbox fill its rest: who came later may find the order filled
    assert all(answer.ok or (answer.status, answer.code) == (409, "conflict") for answer in answers)
    world.until(lambda: world.ended(*kept), "the cancels are done")
    world.sandbox.prices({A: price})
    world.until(lambda: world.ended(*block), "the rest of A is filled")
    for order_id, before in kept.items():
        assert world.order(order_id)["filled_quantity"] >= before
        assert world.order(order_id)["status"] in {"CANCELLED", "FILLED"}
    assert "CANCELLED" in {world.order(order_id)["status"] for order_id in kept}


def test_fifty_users_five_hundred_orders(journey, bus_environment):
    fifty_users_five_hundred_orders(journey(**bus_environment))


def fifty_users_five_hundred_orders(world):
    dice = random.Random(5)
    world.enrol(50)
    users, last = world.users, prices_of(world, A, C)
    far = paise(last[C]) * 8 // 100 * 10

    # one MARKET block of forty users, to be partly filled; a LIMIT that never fills
    world.sandbox.fault("place_order", "partial:0.5", count=2)
    block_a = [world.place(user, "BUY", A, dice.randint(4, 12), key=f"a{n}") for n, user in enumerate(users[:40])]
    never = world.place(users[0], "BUY", C, 2, order_type="LIMIT", price=rupees(far))
    first = world.close_window()
    world.until(lambda: world.order(block_a[0])["status"] in {"PARTIALLY_FILLED", "FILLED", "WORKING"}, "A is sent")

    def filled_of_block():
        with world.admin() as admin:
            return block_of(admin.get(f"/admin/batches/{first}"), A)["filled_quantity"]

    world.until(lambda: filled_of_block() > 0, "A is partly filled")
    cancel_half_way(world, block_a, last[A])
    assert world.order(never)["status"] == "WORKING"
    held = paise(users[0].api.get("/funds")["held"])
    assert 2 * far < held < 2 * far * 101 // 100
    world.assert_books()

    # many orders, few broker orders
    for _ in range(258):
        world.place(dice.choice(users), "BUY", dice.choice(OTHERS), dice.randint(1, 20))
    world.close_window()
    world.until(lambda: world.ended(*(set(world.orders) - {never})), "the second window")
    world.assert_books()

    # sells of what was bought, and one broker order that is rejected in the broker's book
    sells = [
        world.place(user, "SELL", item["instrument"], dice.randint(1, item["quantity"]))
        for user in users
        for item in user.api.get("/holdings")["items"][:3]
    ]
    world.sandbox.fault("place_order", "reject", count=1)
    while len(world.orders) < 500:
        world.place(dice.choice(users), "BUY", dice.choice((B, D)), dice.randint(1, 3))
    third = world.close_window()
    world.until(lambda: world.ended(*(set(world.orders) - {never})), "the third window")
    with world.admin() as admin:
        batch = admin.get(f"/admin/batches/{third}")
    rejected = [order_id for order_id, status in world.statuses().items() if status == "REJECTED"]
    assert rejected
    reasons = {world.order(order_id)["status_reason"] for order_id in rejected}
    assert all(reasons), reasons
    assert len({world.order(order_id)["instrument"] for order_id in rejected}) == 1  # one block, nobody else's
    assert batch["user_orders"] == len(world.orders) - 299
    assert batch["broker_orders"] <= len(batch["blocks"])
    assert len(world.orders) >= 500
    assert sells

    assert world.cancel(never).ok
    world.until(world.ended, "the last cancel")
    assert world.order(never)["filled_quantity"] == 0
    assert all(paise(user.api.get("/funds")["held"]) == 0 for user in users)
    world.assert_books()


KINDS = (
    "timeout_after_accept",
    "timeout_before_accept",
    "reset_after_accept",
    "reset_before_accept",
    "http_500",
    "http_502_html",
    "http_400_timed_out",
    "truncated",
    "redirect",
    "http_429",
    "reject",
    "refuse",
    "partial:0.5",
    "late_visibility:4",
    "token_expired",
    "delay:2",
)


def test_each_fault_at_the_order_route_once(journey):
    world = journey()
    world.enrol(6)
    with world.admin() as admin:
        names = [quote.instrument for quote in list_quotes(admin, len(KINDS))]
    last = prices_of(world, *names)
    for after, kind in enumerate(KINDS):
        world.sandbox.fault("place_order", kind, count=1, after=after)
    for name in names:
        for user in world.users:
            world.place(user, "BUY", name, 5)
    world.close_window()
    world.until(world.needs_login, "the token has died", 90)
    world.log_in_at_broker()
    world.until(lambda: not {"ACCEPTED", "QUEUED"} & set(world.statuses().values()), "every order is resolved", 90)
    world.sandbox.prices(last)  # what the partial fault held back
    world.until(world.ended, "every order has ended", 60)
    lost = [order_id for order_id, status in world.statuses().items() if status == "REJECTED"]
    assert len({world.order(order_id)["instrument"] for order_id in lost}) == 2  # reject and refuse, whole blocks
    assert len(lost) == 2 * len(world.users)
    assert sorted(set(world.statuses().values())) == ["FILLED", "REJECTED"]
    world.assert_books()


# --- spread out


@pytest.fixture(scope="module")
def spread(journeys):
    """One platform of many processes for every test below, in their order."""
    for server in (PrivateRabbit, PrivateRedis):
        if reason := server.missing():
            pytest.skip(reason)
    world = journeys(SARAS_LAYOUT="spread")
    yield world
    family = psutil.Process(world.platform.process.pid).children(recursive=True)
    assert world.platform.stop(timeout_s=90) == 0
    assert psutil.wait_procs(family, 10)[1] == []  # it leaves nobody behind


@pytest.mark.services
def test_spread_out_the_journey_is_the_same(spread):
    fifty_users_five_hundred_orders(spread)
    wanted = {f"{service.name}.{process}" for service in SERVICES for process in service.processes}
    assert {entry.name for entry in read_roll(Home(spread.platform.home).roll)} == wanted | set(SERVERS)


class Load(threading.Thread):
    """One user who orders all the time. ``patient``: asked again under the same key until answered; else asked once."""

    def __init__(self, world, user, *, patient):
        super().__init__(daemon=True)
        self.world, self.user, self.patient = world, user, patient
        self.leave, self.answered, self.unanswered = threading.Event(), [], []

    def run(self):
        for number in itertools.count():
            if self.leave.wait(0.05):
                return
            while not self.place(number) and self.patient:
                time.sleep(0.2)

    def place(self, number):
        body = {"instrument": OTHERS[number % len(OTHERS)], "quantity": 1, "order_type": "MARKET"}
        key = f"load-{self.user.email}-{number}" if self.patient else None
        try:
            answer = self.user.api.call("POST", "/buy", body, key=key)
        except NotReachable as error:
            self.unanswered.append(str(error))
            return False
        if answer.status == 202:
            self.answered.append(answer.body["id"])
            self.world.orders[answer.body["id"]] = self.user
        else:
            self.unanswered.append(answer.describe())
        return answer.status == 202


@pytest.fixture
def load(spread):
    """``load(patient=…)``: users who order until the test ends them."""
    started = []

    def start(*, patient):
        started.extend(Load(spread, user, patient=patient) for user in spread.users[:3])
        for each in started:
            each.start()
        return started

    yield start
    for each in started:
        each.leave.set()
        each.join()


def end_and_compare(world, loads):
    """What was promised is in the book, once, and ends; the books balance."""
    for each in loads:
        each.leave.set()
        each.join()
    world.close_window()
    world.until(world.ended, "every order has ended", 90)
    assert set(world.statuses()) == set(world.orders)  # nothing lost; what was asked twice was placed once
    assert all(each.answered for each in loads)
    world.assert_books()


def processes(world, names):
    return {entry.name: entry for entry in read_roll(Home(world.platform.home).roll) if entry.name in names}


@pytest.mark.services
def test_what_is_killed_comes_back_and_nothing_is_lost(spread, load):
    loads = load(patient=True)
    before = processes(spread, KILLED)
    assert set(before) == set(KILLED)
    for entry in before.values():
        os.kill(entry.pid, signal.SIGKILL)

    def back():
        now = processes(spread, KILLED).values()
        return all(each.pid not in {None, before[each.name].pid} and state_of(each) == "up" for each in now)

    deadline = time.monotonic() + 120
    while not back():
        assert time.monotonic() < deadline, processes(spread, KILLED)
        time.sleep(0.2)
    assert all(entry.restarts > before[entry.name].restarts for entry in processes(spread, KILLED).values())
    counts = [len(each.answered) for each in loads]
    while not all(len(each.answered) > count for each, count in zip(loads, counts, strict=True)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    end_and_compare(spread, loads)


@pytest.mark.services
def test_a_restart_under_load_fails_no_request(spread, load):
    loads = load(patient=False)
    wanted = [f"{name}.{process}" for name in RESTARTED for process in services_processes(name)]
    before = processes(spread, wanted)
    environment = child_environment({"SARAS_HOME": str(spread.platform.home), "PYTHONDONTWRITEBYTECODE": ""})
    done = subprocess.run(
        [sys.executable, "-m", "saras", "restart", *RESTARTED],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=170,
    )
    assert done.returncode == 0, done.stderr
    assert [line.partition(" ")[0] for line in done.stdout.splitlines()][:-1] == wanted
    assert [each.unanswered for each in loads] == [[], [], []]
    end_and_compare(spread, loads)
    after = processes(spread, wanted)
    assert all(after[name].pid not in {None, before[name].pid} for name in wanted)
    assert all(after[name].restarts == before[name].restarts for name in wanted)  # replaced, not fallen


def services_processes(name):
    return next(service.processes for service in SERVICES if service.name == name)


@pytest.mark.services
def test_a_restart_of_what_is_not_there_is_refused(spread):
    done = subprocess.run(
        [sys.executable, "-m", "saras", "restart", "postbox-service"],
        env=child_environment({"SARAS_HOME": str(spread.platform.home)}),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert "portfolio-service" in done.stderr
