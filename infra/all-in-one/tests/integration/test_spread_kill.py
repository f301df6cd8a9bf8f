"""Every process of a spread-out platform killed under load, type by type, and each server: all come back, nothing lost.

Minutes of two cores, so only when SARAS_KILL_ROUNDS says how often: once after a change here, 20 times for a release.
"""

import os
import signal
import threading
import time

import psutil
import pytest

from saras.client import NotReachable
from saras.errors import CommandFailed
from saras.fleet import SERVICES
from saras.home import Home
from saras.spread.roll import read_roll, state_of
from saras_common.testing import PrivateRabbit, PrivateRedis

ROUNDS = int(os.environ.get("SARAS_KILL_ROUNDS", "0"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.services,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(ROUNDS == 0, reason="kills 26 processes in turn: set SARAS_KILL_ROUNDS to how often"),
]
NAMES = ("NSE:INFY", "NSE:TCS", "NSE:ITC", "NSE:SBIN")
KINDS = ("api", "consume", "relay", "worker")
SERVERS = ("redis", "rabbitmq", "postgresql")
MORE = "10000000.00"


class Load(threading.Thread):
    """One user who orders all the time; what got no answer is asked again under the same Idempotency-Key."""

    def __init__(self, world, user):
        super().__init__(daemon=True)
        self.world, self.user, self.stop = world, user, threading.Event()
        self.answered, self.repeated, self.refused = 0, 0, 0

    def run(self):
        number = 0
        while not self.stop.wait(0.1):
            number += 1
            while not self.place(number):
                self.repeated += 1
                time.sleep(0.3)
            self.answered += 1

    def place(self, number):
        body = {"instrument": NAMES[number % len(NAMES)], "quantity": 2, "order_type": "MARKET"}
        try:
            answer = self.user.api.call("POST", "/buy", body, key=f"load-{self.user.email}-{number}-{self.refused}")
            if answer.code == "insufficient_funds":  # many rounds cost money
                self.refused += 1  # a refusal is an answer: another try is another request
                self.world.pay_in(self.user, MORE)
                return False
        except NotReachable:
            return False
        if answer.status == 202:
            self.world.orders[answer.body["id"]] = self.user
        else:
            assert answer.status >= 500, answer.describe()
        return answer.status == 202


def kill_and_wait(roll_path, names):
    """SIGKILL to each, and until each is up again as another process."""
    before = {entry.name: entry for entry in read_roll(roll_path) if entry.name in names}
    assert set(before) == set(names)
    for entry in before.values():
        os.kill(entry.pid, signal.SIGKILL)
    deadline = time.monotonic() + 120
    while True:
        now = {entry.name: entry for entry in read_roll(roll_path) if entry.name in names}
        back = [name for name in names if now[name].pid not in {None, before[name].pid} and state_of(now[name]) == "up"]
        if len(back) == len(names):
            break
        assert time.monotonic() < deadline, set(names) - set(back)
        time.sleep(0.2)
    assert all(now[name].restarts > before[name].restarts for name in names)


def is_settled(world):
    """Whether every order has ended; a database that has just come back may still answer 503."""
    try:
        return world.ended()
    except (CommandFailed, NotReachable):
        return False


def test_whatever_is_killed_comes_back_and_nothing_is_lost(journey):
    for server in (PrivateRabbit, PrivateRedis):
        if reason := server.missing():
            pytest.skip(reason)
    world = journey(SARAS_LAYOUT="spread", SARAS_WINDOW_S="1")
    world.enrol(2)
    roll = Home(world.platform.home).roll
    wanted = {f"{service.name}.{process}" for service in SERVICES for process in service.processes}
    assert {entry.name for entry in read_roll(roll)} == wanted | set(SERVERS)
    loads = [Load(world, user) for user in world.users]
    for load in loads:
        load.start()
    for _ in range(ROUNDS):
        for kind in KINDS:
            kill_and_wait(roll, [name for name in wanted if name.endswith(f".{kind}")])
        for server in SERVERS:
            kill_and_wait(roll, [server])
    for load in loads:
        load.stop.set()
        load.join()
    world.until(lambda: is_settled(world), "every order has ended", 180)
    assert len(world.orders) == sum(load.answered for load in loads)
    assert len(world.statuses()) == len(world.orders)  # what was asked twice was placed once
    assert set(world.statuses().values()) == {"FILLED"}
    world.assert_books(attempts=dict.fromkeys(NAMES, 2))

    family = psutil.Process(world.platform.process.pid).children(recursive=True)
    assert world.platform.stop(timeout_s=90) == 0
    assert psutil.wait_procs(family, 10)[1] == []  # it leaves nobody behind
