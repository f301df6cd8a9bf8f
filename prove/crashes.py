"""Campaign 1: kill -9 of the executor at every named place and at any moment, under a steady flow of orders.

Several desks side by side. On each one executor after the other is started, told where to die or killed at random, and
followed by the next. The sandbox's fsynced journal and the book of this process, neither of which is ever killed, are
compared after every kill: the book may lag behind the broker, never lead it, and no tag is at the broker twice. Now
and then, and at the end, everything settles and must be equal.
"""

import itertools
import multiprocessing
import random
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4

from prove.campaign import Campaign, Outcome, Run, silence
from prove.stage import ENDED, NAMES, find_doubled, find_unequal, stage, wish

from saras_common.events import FundsMoved, OrderAccepted
from trade_executor.failpoints import NAMES as POINTS
from trade_executor.testing.platform import Platform
from trade_executor.testing.process import ExecutorProcess

AT_RANDOM = "at random"
KILLED = -9
ORDERS_A_KILL = 40
DESKS = 4
SETTLE_EVERY = 25
REACH_S = 12.0
SETTLE_S = 100.0
BEAT_S = 0.1
FAULTS = ("timeout_after_accept", "reset_before_accept", "http_500", "partial:0.5", "delay:0.3")


@dataclass(slots=True)
class Desk:
    """One platform and what was asked of it: the client's journal."""

    platform: Platform
    rng: random.Random
    orders: list[OrderAccepted] = field(default_factory=list)
    cancelled: set[int] = field(default_factory=set)

    def ask(self, count: int) -> None:
        """Orders of every sort; some are cancelled a moment later."""
        rng = self.rng
        fresh = []
        for _ in range(count):
            name = rng.choice(NAMES[:8])
            if rng.random() < 0.1:
                fresh.append(self.platform.order(name, rng.randint(1, 9), order_type="LIMIT", price_paise=100_00))
            else:
                fresh.append(self.platform.order(name, rng.randint(1, 40), rng.choice(["BUY", "SELL"])))
        self.orders += fresh
        self.platform.publish(fresh)
        self.platform.publish([wish(order) for order in fresh if order.order_type == "LIMIT"])
        if rng.random() < 0.3:
            self.platform.sandbox.fault("place_order", rng.choice(FAULTS))
        if rng.random() < 0.1:
            self.bring_funds()

    def bring_funds(self) -> None:
        """A user's deposit, which the executor mirrors to the sandbox account."""
        amount = self.rng.randint(1, 100_000)
        self.platform.deposit(amount)
        moved = FundsMoved(
            at=datetime.now(UTC), movement_id=uuid4(), user_id=uuid4(), account_id="main", amount_paise=amount
        )
        self.platform.publish([moved])

    def cut_rests(self) -> None:
        """Cancel what stands half filled, so that everything ends."""
        wishes = []
        for number, order in enumerate(self.orders):
            if number not in self.cancelled and self.platform.book.lines[order.order_id].status == "PARTIALLY_FILLED":
                self.cancelled.add(number)
                wishes.append(wish(order))
        self.platform.publish(wishes)

    def open(self) -> list[OrderAccepted]:
        """Orders that have not ended."""
        return [order for order in self.orders if self.platform.book.lines[order.order_id].status not in ENDED]


def play(run: Run) -> Outcome:
    """Every desk its share of the kills."""
    desks = min(DESKS, 1 + run.size // len(POINTS))
    pieces = [Run(run.seed + number, -(-run.size // desks), run.deadline) for number in range(desks)]
    outcome = Outcome()
    with ProcessPoolExecutor(desks, multiprocessing.get_context("spawn"), initializer=silence) as pool:
        for part in pool.map(play_desk, pieces):
            outcome.add(part)
    if outcome.counts["kills"] < run.size:
        outcome.missed.append(f"{outcome.counts['kills']} kills fitted into the time, not {run.size}")
    outcome.missed += [
        f"{name}: {outcome.counts[f'killed {name}']} times" for name in POINTS if outcome.counts[f"killed {name}"] < 20
    ]
    return outcome


def play_desk(run: Run) -> Outcome:
    """Kill after kill; then let everything settle."""
    outcome = Outcome()
    with stage(window_s=0.2, lease_s=0.5, reconcile_every_s=2, connect_timeout_s=0.3, read_timeout_s=0.7) as platform:
        platform.start(executor=False)
        desk = Desk(platform, random.Random(run.seed))
        for point in itertools.islice(plan(desk.rng), run.size):
            if run.left_s < SETTLE_S:
                break
            kill_once(desk, point, outcome)
            check(desk, outcome, point)
            if outcome.counts["kills"] % SETTLE_EVERY == 0:
                settle(desk, outcome, run)
        settle(desk, outcome, run)
        outcome.counts["user orders"] = len(desk.orders)
        outcome.counts["broker orders"] = len(platform.sandbox.journal("order_accepted"))
    return outcome


def plan(rng: random.Random) -> Iterator[str]:
    """Every place once, in another order each time, and one kill in eight at random."""
    while True:
        points = [*POINTS, *[AT_RANDOM] * (len(POINTS) // 7)]
        rng.shuffle(points)
        yield from points


def kill_once(desk: Desk, point: str, outcome: Outcome) -> None:
    """Start an executor, let orders flow until it dies at ``point``; by our hand when it does not get there."""
    named = point != AT_RANDOM
    executor = ExecutorProcess(desk.platform.settings, failpoint=point if named else None)
    until = time.monotonic() + (REACH_S if named else desk.rng.uniform(0.5, 3.0))
    left = ORDERS_A_KILL
    while executor.wait_for_its_end(BEAT_S) is None and time.monotonic() < until:
        part = min(left, 8)
        left -= part
        if part:
            desk.ask(part)
        desk.cut_rests()
        desk.platform.keep_logged_in()
    code = executor.wait_for_its_end(0)
    if code not in {None, KILLED}:
        outcome.violate(f"the executor ended by itself with {code}, on the way to {point}")
    died = code == KILLED
    executor.kill()
    outcome.counts["kills"] += 1
    outcome.counts[f"killed {point if died or not named else AT_RANDOM}"] += 1


def check(desk: Desk, outcome: Outcome, point: str) -> None:
    """What must hold at any moment: nothing doubled, the book never ahead of the broker."""
    booked = {
        name: sum(desk.platform.book.lines[order.order_id].filled for order in desk.orders if order.instrument == name)
        for name in NAMES[:8]
    }
    journal = desk.platform.sandbox.journal()
    filled = dict.fromkeys(booked, 0)
    for item in journal:
        if item["event"] == "fill":
            filled[f"{item['exchange']}:{item['tradingsymbol']}"] += item["quantity"]
    outcome.violate(*(f"after {point}: {what}" for what in find_doubled(journal)))
    outcome.violate(
        *(
            f"after {point}: {name}: booked {booked[name]}, filled {filled[name]}"
            for name in booked
            if booked[name] > filled[name]
        )
    )


def settle(desk: Desk, outcome: Outcome, run: Run) -> None:
    """An undisturbed executor brings everything to its end; then book and broker are equal, and nothing is lost."""
    executor = ExecutorProcess(desk.platform.settings)
    until = time.monotonic() + min(SETTLE_S, max(20.0, run.left_s))
    while desk.open() and time.monotonic() < until:
        desk.cut_rests()
        desk.platform.keep_logged_in()
        time.sleep(BEAT_S)
    executor.kill()
    lost = desk.open()
    outcome.violate(*(f"order {order.order_id} never ended" for order in lost[:3]))
    outcome.violate(*find_unequal(desk.platform, desk.platform.sandbox.journal(), desk.orders))
    outcome.counts["settled and equal"] += not lost


CAMPAIGN = Campaign(
    number=1,
    target=f"500 kill -9 of the executor over 20,000 user orders, 20 at each of {len(POINTS)} named places and the"
    " others at random: none lost, none doubled, the books balanced",
    size=500,
    bound_s=600,
    play=play,
)
