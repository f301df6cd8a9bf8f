"""Campaign 3: lost, late, wrong and misleading answers to the placing of orders, one for every order placed.

Each order is one block and so one broker order. The sandbox's journal says what the broker took; the book of this
process says what the executor made of it.
"""

import multiprocessing
import random
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

from prove.campaign import Campaign, Outcome, Run, silence
from prove.stage import ENDED, NAMES, find_doubled, find_unequal, stage, wish

from saras_common.events import OrderAccepted
from trade_executor.testing.platform import Platform

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
    "late_visibility:3",
    "token_expired",
    "delay:1",
)
"""Every kind of api.md, at ``place_order``."""

RARE = {"token_expired": 0.1, "http_429": 0.3}
"""How often, against 1 for the others: after these everything pauses for a while."""

LATE_S = {"late_visibility:3": 3.0}
REFUSED = {"reject", "refuse"}
P99_S = 5.0
TOLD_EVERY_S = 0.05
SETTLE_S = 90.0
DESKS = 6


@dataclass(slots=True)
class Round:
    """One instrument's order under way."""

    order: OrderAccepted
    kind: str
    began: float
    cancelled: bool = False


@dataclass(slots=True)
class Story:
    """What was asked, and when each order was first heard of after its acceptance."""

    platform: Platform
    rng: random.Random
    free: list[str] = field(default_factory=lambda: list(NAMES))
    running: dict[str, Round] = field(default_factory=dict)
    orders: list[OrderAccepted] = field(default_factory=list)
    kinds: dict[str, int] = field(default_factory=dict)
    heard: dict[tuple[str, int], float] = field(default_factory=dict)
    """(instrument, number of its order) → wall time at which the book heard how it stands."""
    rounds: dict[str, list[Round]] = field(default_factory=dict)

    def begin(self) -> None:
        """One more order, and the fault its placing meets."""
        name = self.free.pop(self.rng.randrange(len(self.free)))
        kind = self.rng.choices(KINDS, [RARE.get(kind, 1.0) for kind in KINDS])[0]
        self.platform.sandbox.fault("place_order", kind)
        order = self.platform.order(name, self.rng.randint(2, 40))
        self.running[name] = Round(order, kind, time.time())
        self.rounds.setdefault(name, []).append(self.running[name])
        self.orders.append(order)
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        self.platform.publish([order])

    def follow(self) -> None:
        """See what became of those under way; cancel the rest of what filled in part; log in when asked to."""
        now = time.time()
        self.platform.keep_logged_in()
        for name, item in list(self.running.items()):
            line = self.platform.book.lines[item.order.order_id]
            if line.filled or line.status in ENDED or line.status == "WORKING":
                self.heard.setdefault((name, len(self.rounds[name])), now)
            if line.status == "PARTIALLY_FILLED" and not item.cancelled:
                item.cancelled = True
                self.platform.publish([wish(item.order)])
            if line.status in ENDED:
                del self.running[name]
                self.free.append(name)


def play(run: Run) -> Outcome:
    """Several desks side by side, each with its own account, broker and database: most of the time they wait."""
    outcome = Outcome()
    desks = min(DESKS, 1 + run.size // 100)
    pieces = [Run(run.seed + number, -(-run.size // desks), run.deadline) for number in range(desks)]
    with ProcessPoolExecutor(desks, multiprocessing.get_context("spawn"), initializer=silence) as pool:
        parts = list(pool.map(play_desk, pieces))
    for part, _ in parts:
        outcome.add(part)
    waits = sorted(wait for _, found in parts for wait in found)
    if waits:
        p99 = waits[int(len(waits) * 0.99)]
        outcome.figures |= {
            "known after the broker shows it, p50 s": round(waits[len(waits) // 2], 2),
            "known after the broker shows it, p99 s": round(p99, 2),
        }
        if p99 > P99_S:
            outcome.missed.append(f"p99 {p99:.1f} s from the broker's showing the order until it was known here")
    if outcome.counts["faults met"] < run.size:
        outcome.missed.append(f"{outcome.counts['faults met']:,} ambiguous answers fitted into the time")
    return outcome


def play_desk(run: Run) -> tuple[Outcome, list[float]]:
    """Ask until ``run.size`` faults were met or time is nearly over, let everything end, compare."""
    outcome = Outcome()
    with stage(window_s=0.1) as platform:
        platform.start()
        platform.wait(lambda: platform.listed > 0, 60)
        story = Story(platform, random.Random(run.seed))
        while len(story.orders) < run.size and run.left_s > SETTLE_S:
            story.follow()
            if story.free:
                story.begin()
            time.sleep(TOLD_EVERY_S)
        until = time.monotonic() + min(SETTLE_S, run.left_s)
        while story.running and time.monotonic() < until:
            story.follow()
            time.sleep(TOLD_EVERY_S)
        waits = judge(story, outcome)
    outcome.counts["faults met"] = len(story.orders)
    outcome.counts |= {f"met {kind}": count for kind, count in story.kinds.items()}
    return outcome, waits


def judge(story: Story, outcome: Outcome) -> list[float]:
    """The journal against the book; seconds from the broker's showing an order until it was known here."""
    journal = story.platform.sandbox.journal()
    outcome.violate(*find_doubled(journal), *find_unequal(story.platform, journal, story.orders))
    accepted: dict[str, list[float]] = {}
    for entry in journal:
        if entry["event"] == "order_accepted":
            name = f"{entry['exchange']}:{entry['tradingsymbol']}"
            accepted.setdefault(name, []).append(datetime.fromisoformat(entry["at"]).timestamp())
    waits: list[float] = []
    rejected = 0
    for name, rounds in story.rounds.items():
        for number, item in enumerate(rounds, 1):
            line = story.platform.book.lines[item.order.order_id]
            rejected += line.status == "REJECTED"
            if line.status not in ENDED:
                outcome.violate(f"{name}: the order under {item.kind} is {line.status} at the end")
            at = story.heard.get((name, number), 0.0)
            taken = [moment for moment in accepted.get(name, ()) if item.began <= moment <= at]
            if taken:
                waits.append(at - min(taken) - LATE_S.get(item.kind, 0.0))
    refused = sum(story.kinds.get(kind, 0) for kind in REFUSED)
    if rejected > refused:
        outcome.violate(f"{rejected} orders were called rejected, the broker refused {refused}")
    outcome.counts["broker orders"] = sum(len(times) for times in accepted.values())
    return waits


CAMPAIGN = Campaign(
    number=3,
    target="2,000 ambiguous answers of 16 kinds to the placing of orders: none doubled, none taken and called failed",
    size=2_000,
    bound_s=600,
    play=play,
)
