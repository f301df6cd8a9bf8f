"""Campaign 1, spread out: kill -9 of every process type and every server, in turn, under a steady flow of orders.

Types are killed in a shuffled order, some of them on their way back at any moment. A kill is over when a new process
of the type answers and, besides, an order that was asked for after the kill has ended in the book: that is the time
published. After each kill the book's rules, the book against the broker and the broker's tags are compared; at the end
everything is. Receipts and the broker's journal are never killed.
"""

import contextlib
import http.client
import os
import random
import signal
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from prove.campaign import Campaign, Outcome, Run
from prove.whole import Whole, whole_platform

from saras.client import NotReachable
from saras.errors import CommandFailed
from saras.fleet import SERVICES
from saras.home import Home
from saras.spread.roll import Entry, read_roll
from saras_common.errors import Unavailable

SERVERS = ("postgresql", "rabbitmq", "redis")
PEOPLE = 4
PAUSE_S = 0.5
AT_ONCE = 3
"""Types on their way back at the same time."""

BACK_WITHIN_S = 15.0
GIVEN_UP_S = 60.0
AUDIT_S = 40.0
"""Of the time a run may take: everything settled, everything compared."""

BEAT_S = 0.1
ANSWER_TIMEOUT_S = 5.0


@dataclass(slots=True)
class Kill:
    """One of them. ``up_at`` is when a process of the type answered again, ``back_at`` when orders went through too."""

    name: str
    at: float
    up_at: float | None = None
    back_at: float | None = None
    beside: set[str] = field(default_factory=set)
    """Who else was on the way back meanwhile."""


@dataclass
class Round:
    """What is under way and what is over."""

    whole: Whole
    roll: Path
    outcome: Outcome
    under_way: dict[str, Kill] = field(default_factory=dict)
    over: list[Kill] = field(default_factory=list)

    def entry(self, name: str) -> Entry | None:
        """The process or server of a name, as the supervisor has it."""
        return next((entry for entry in read_roll(self.roll) if entry.name == name), None)

    def kill(self, name: str) -> bool:
        """SIGKILL, and somebody who waits for its return; false when none of the type runs just now."""
        entry = self.entry(name)
        if entry is None or entry.pid is None or not is_alive(entry.pid):
            return False
        kill = self.under_way[name] = Kill(name, time.monotonic())
        os.kill(entry.pid, signal.SIGKILL)
        threading.Thread(target=self._await_answer, args=(kill, entry), daemon=True).start()
        return True

    def _await_answer(self, kill: Kill, before: Entry) -> None:
        """Until another process than ``before`` answers."""
        assert before.pid is not None
        while time.monotonic() - kill.at < GIVEN_UP_S:
            if not is_alive(before.pid) and self._answers(before):
                kill.up_at = time.monotonic()
                return
            time.sleep(BEAT_S)

    def _answers(self, before: Entry) -> bool:
        if before.port == 0:  # a server speaks no HTTP: the order that has to go through shows that it works
            now = self.entry(before.name)
            return now is not None and now.pid not in {None, before.pid} and now.restarts > before.restarts
        return answers(before.port, "/health/ready" if before.name.endswith(".api") else "/health/live")

    def look(self) -> None:
        """Whose return is complete by now; then the books, if anybody's is."""
        with contextlib.suppress(Unavailable):
            self.whole.look()
        done = []
        for kill in self.under_way.values():
            kill.beside |= self.under_way.keys() - {kill.name}
            ended_at = self.whole.first_end_of_a_later_one(kill.at)
            if kill.up_at is not None and ended_at is not None:
                kill.back_at = max(kill.up_at, ended_at)
                done.append(kill)
            elif time.monotonic() - kill.at > GIVEN_UP_S:
                self.outcome.violate(f"{kill.name} was not back after {GIVEN_UP_S:.0f} s")
                done.append(kill)
        if done:
            self._check([kill.name for kill in done])
        for kill in done:
            del self.under_way[kill.name]
            self.over.append(kill)

    def _check(self, names: Sequence[str]) -> None:
        try:
            faults = self.whole.faults()
        except Unavailable:  # another kill took the database away: the next look comes for all of them
            self.outcome.counts["looks put off"] += 1
            return
        self.outcome.counts["times the books were compared"] += 1
        self.outcome.violate(*(f"after {', '.join(names)}: {what}" for what in faults))


def is_alive(pid: int) -> bool:
    """Whether the process runs, and is not merely waited for by its parent."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def answers(port: int, path: str) -> bool:
    """Whether a GET is answered 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_TIMEOUT_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def names() -> list[str]:
    """Every process type of the platform."""
    return [f"{service.name}.{process}" for service in SERVICES for process in service.processes]


def plan(rng: random.Random, size: int) -> list[str]:
    """Each type ``size`` times, each server half as often and early; no type comes twice before all have come once."""
    order: list[str] = []
    for number in range(size):
        turn = [*names(), *(SERVERS if number < size / 2 else ())]
        rng.shuffle(turn)
        order += turn
    return order


def play(run: Run) -> Outcome:
    """Kill after kill while there is time; then everything settles and is compared."""
    outcome = Outcome()
    rng = random.Random(run.seed)
    with (
        tempfile.TemporaryDirectory(prefix="saras-prove-", ignore_cleanup_errors=True) as folder,
        whole_platform(Path(folder), people=PEOPLE, SARAS_LAYOUT="spread") as whole,
    ):
        round_ = Round(whole, Home(whole.platform.home).roll, outcome)
        whole.open_doors(seed=run.seed, pause_s=PAUSE_S)
        waiting = plan(rng, run.size)
        planned = len(waiting)
        until = run.deadline - min(AUDIT_S, run.left_s / 3)
        while (waiting or round_.under_way) and whole.platform.alive:
            if time.monotonic() < until:
                kill_next(round_, waiting)
            elif not round_.under_way:
                break
            round_.look()
            time.sleep(BEAT_S)
        finish(whole, outcome)
        tell(round_, outcome, run.size)
        if len(round_.over) < planned:
            outcome.missed.append(f"{len(round_.over)} of {planned} kills fitted into the time")
    return outcome


def kill_next(round_: Round, waiting: list[str]) -> None:
    """The next type that is not on its way back, unless enough are; one server at a time."""
    if len(round_.under_way) >= AT_ONCE:
        return
    has_server = any(name in SERVERS for name in round_.under_way)
    for place, name in enumerate(waiting):
        if name in round_.under_way or (has_server and name in SERVERS):
            continue
        if round_.kill(name):
            del waiting[place]
        return


def finish(whole: Whole, outcome: Outcome) -> None:
    """Nobody orders any more; everything comes to its end and is compared."""
    whole.close_doors()
    if not whole.settle():
        outcome.violate(f"{len(whole.open)} orders never ended")
    deadline = time.monotonic() + GIVEN_UP_S
    while True:
        try:
            wrong = whole.audit()
            break
        except (CommandFailed, NotReachable, Unavailable) as error:
            if time.monotonic() > deadline:
                wrong = [f"the platform cannot be asked: {error}"]
                break
            time.sleep(1)
    outcome.violate(*wrong)
    outcome.counts["orders promised to customers"] = len(whole.receipts.read())
    for name in ("requests", "asked again", "refused"):
        outcome.counts[name] = sum(customer.counts[name] for customer in whole.customers)
    outcome.counts["broker orders"] = sum(item["event"] == "order_accepted" for item in whole.sandbox.journal())


def tell(round_: Round, outcome: Outcome, size: int) -> None:
    """Counts by type and how long they took to return."""
    seconds: dict[str, list[float]] = defaultdict(list)
    killed: Counter[str] = Counter()
    for kill in round_.over:
        killed[kill.name] += 1
        if kill.back_at is not None:
            seconds[kill.name].append(kill.back_at - kill.at)
    outcome.counts["kills"] = killed.total()
    outcome.counts["process types and servers"] = len(killed)
    outcome.counts["fewest kills of a process type"] = min(killed[name] for name in names())
    for name in SERVERS:
        outcome.counts[f"kills of {name}"] = killed[name]
    for name, values in sorted(seconds.items()):
        outcome.figures[f"back, {name}"] = spread_of(values)
    for kill in round_.over:
        if kill.back_at is not None and kill.up_at is not None and kill.back_at - kill.at > BACK_WITHIN_S:
            up_s, back_s = kill.up_at - kill.at, kill.back_at - kill.at
            others = ", ".join(sorted(kill.beside)) or "nobody"
            outcome.missed.append(
                f"{kill.name} was up after {up_s:.1f} s, in use after {back_s:.1f} s, beside {others}"
            )
    outcome.figures["back, all"] = spread_of([value for values in seconds.values() for value in values])
    short = [name for name in names() if killed[name] < size]
    if short and size > 1:
        outcome.missed.append(f"{len(short)} process types were killed fewer than {size} times")


def spread_of(values: Sequence[float]) -> str:
    """Median, 99th percentile and worst of seconds, and how many there are."""
    ranked = sorted(values)
    if not ranked:
        return "never"
    p99 = ranked[min(len(ranked) - 1, round(0.99 * (len(ranked) - 1)))]
    return f"p50 {ranked[(len(ranked) - 1) // 2]:.1f} s, p99 {p99:.1f} s, worst {ranked[-1]:.1f} s of {len(ranked)}"


CAMPAIGN = Campaign(
    number=1,
    target="every process type of the platform spread out killed 20 times under load, PostgreSQL, RabbitMQ and Redis"
    " 10 times each: nothing lost, nothing doubled, the books balanced after every kill, back within 15 s",
    size=20,
    bound_s=600,
    play=play,
)
