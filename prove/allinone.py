"""Campaign 1, all in one: kill -9 of `saras up` at every named place and at any moment, under a flow of orders.

Several platforms side by side, each on a home of its own that is used again and again. Customers go on asking over HTTP
until they are answered; their receipts and the sandbox's journal, each line on the disk before anybody is told, are
the oracles. As soon as a platform is back the books are compared; one that is killed before that, by a place it meets
as it starts, is compared at the start after it. At the end everything settles and is compared.
"""

import itertools
import multiprocessing
import random
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from pathlib import Path

from prove.campaign import Campaign, Outcome, Run, silence
from prove.processes import finish
from prove.whole import Whole, whole_platform

from saras.errors import CannotStart, CommandFailed
from saras_common.errors import Unavailable
from trade_executor.failpoints import NAMES as POINTS

AT_RANDOM = "at random"
KILLED = -9
PEOPLE = 4
PAUSE_S = 0.1
REACH_S = 12.0
SETTLE_S = 75.0
FAULTS = ("timeout_after_accept", "reset_before_accept", "http_500", "delay:0.3")
FAULT_EVERY_S = 2.0


class Trouble(threading.Thread):
    """Lets a call at the broker go wrong now and then."""

    def __init__(self, whole: Whole, rng: random.Random) -> None:
        super().__init__(daemon=True)
        self._whole = whole
        self._rng = rng
        self._leave = threading.Event()

    def leave(self) -> None:
        """Make no more."""
        self._leave.set()
        self.join()

    def run(self) -> None:
        """Fault after fault; none while the sandbox is away."""
        while not self._leave.wait(self._rng.uniform(0.5, 1.5) * FAULT_EVERY_S):
            with suppress(CommandFailed):
                self._whole.sandbox.fault("place_order", self._rng.choice(FAULTS))


def play(run: Run) -> Outcome:
    """Every platform its share of the kills."""
    desks = max(1, min(run.processes, run.size // 2))
    pieces = [Run(run.seed + number, -(-run.size // desks), run.deadline) for number in range(desks)]
    outcome = Outcome()
    with ProcessPoolExecutor(desks, multiprocessing.get_context("spawn"), initializer=silence) as pool:
        for part in pool.map(play_home, pieces):
            outcome.add(part)
    if outcome.counts["kills"] < run.size:
        outcome.missed.append(f"{outcome.counts['kills']} kills fitted into the time, not {run.size}")
    never = [name for name in POINTS if not outcome.counts[f"killed {name}"]]
    if never and run.size > len(POINTS):
        outcome.missed.append(f"never reached: {', '.join(never)}")
    return outcome


def play_home(run: Run) -> Outcome:
    """Kill after kill on one home."""
    outcome, rng = Outcome(), random.Random(run.seed)
    with (
        tempfile.TemporaryDirectory(prefix="saras-prove-", ignore_cleanup_errors=True) as folder,
        whole_platform(Path(folder), people=PEOPLE, SARAS_WINDOW_S="0.5", RECONCILE_EVERY_S="3") as whole,
    ):
        whole.open_doors(seed=run.seed * 100, pause_s=PAUSE_S)
        trouble = Trouble(whole, random.Random(run.seed))
        trouble.start()
        for point in itertools.islice(plan(rng), run.size):
            if run.left_s < SETTLE_S:
                break
            kill_once(whole, point, rng, outcome)
        trouble.leave()
        start(whole, None, outcome)
        finish(whole, outcome)
    return outcome


def plan(rng: random.Random) -> Iterator[str]:
    """Every place once, in another order each time, and one kill in five at random."""
    while True:
        points = [*POINTS, *[AT_RANDOM] * (len(POINTS) // 4)]
        rng.shuffle(points)
        yield from points


def kill_once(whole: Whole, point: str, rng: random.Random, outcome: Outcome) -> None:
    """Start with ``point`` armed, let customers press on until it is reached; by our hand when it is not."""
    is_named = point != AT_RANDOM
    if whole.platform.alive:  # the very first time
        whole.platform.kill()
    if start(whole, point if is_named else None, outcome):
        whole.platform.wait_dead(REACH_S if is_named else rng.uniform(0.2, 3.0))
    died = not whole.platform.alive
    code = whole.platform.process.returncode if died and whole.platform.process is not None else None
    if code not in {None, KILLED}:
        outcome.violate(f"the platform ended by itself with {code}, on the way to {point}")
    whole.platform.kill()
    outcome.counts["kills"] += 1
    outcome.counts[f"killed {point if died or not is_named else AT_RANDOM}"] += 1


def start(whole: Whole, failpoint: str | None, outcome: Outcome) -> bool:
    """Bring the platform up on its home and compare the books; false when it met its end before it was ready."""
    began = time.monotonic()
    try:
        whole.platform.start(extra={} if failpoint is None else {"SARAS_FAILPOINT": failpoint})
    except CannotStart as error:
        if whole.platform.alive or failpoint is None:
            outcome.violate(f"the platform does not start: {error}")
        return False
    outcome.figures["slowest start, s"] = round(
        max(time.monotonic() - began, float(outcome.figures.get("slowest start, s") or 0)), 1
    )
    whole.close_reader()
    try:
        faults = whole.faults()
        whole.look()
    except (Unavailable, CommandFailed):  # killed again already
        outcome.counts["looks cut off by the next kill"] += 1
    else:
        outcome.counts["times the books were compared"] += 1
        outcome.violate(*(f"before {failpoint or AT_RANDOM}: {what}" for what in faults))
    return True


CAMPAIGN = Campaign(
    number=1,
    target="100 kill -9 of the whole platform in one process, at each of the executor's named places and at random,"
    " under orders over HTTP: none lost, none doubled, the books balanced after every kill",
    size=100,
    bound_s=600,
    play=play,
)
