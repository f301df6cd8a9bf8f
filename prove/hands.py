"""Campaign 4: three executors on one account, stopped (SIGSTOP) and woken again and again.

Some are stopped at any moment, some exactly where it hurts: before the last look at the lease, between that look and
the bytes to the broker, and in the middle of a transaction. Orders go on arriving. The broker knows no epochs: who
wakes up between the look and the bytes does send, and then the tag must lead its order to the one who leads by now.

Oracles: the sandbox's fsynced journal, the book of this process, and a trigger that logs who held the lease when.
"""

import itertools
import multiprocessing
import random
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import psutil
import psycopg
from prove.campaign import Campaign, Outcome, Run, silence
from prove.stage import ENDED, NAMES, find_ahead, find_doubled, find_unequal, stage

from saras_common.events import OrderAccepted
from trade_executor.core.intents import TAG_ID_CHARACTERS
from trade_executor.testing.platform import Platform
from trade_executor.testing.process import ExecutorProcess

EXECUTORS = 3
DESKS = 3
LEASE_S = 1.0
CONNECT_S, READ_S = 0.3, 0.6
"""A successor waits the lease and then both of these: so that a call on its way has ended."""

SHORTEST, LONGEST = 0.5, 3.0
"""Of a pause, in leases."""

AT_RANDOM = "at random"
BEFORE_CHECK, AFTER_CHECK = "before_send", "lease_checked"
WITHIN = "before_sending_committed"
KINDS = (AT_RANDOM, BEFORE_CHECK, AFTER_CHECK, AT_RANDOM, BEFORE_CHECK, AFTER_CHECK, WITHIN)

REACH_S = 8.0
BEAT_S = 0.02
ORDER_EVERY_S = 0.2
REST_S = 0.3
"""Between two pauses."""

FAILOVER_S = 5.0
SETTLE_S = 70.0

_LOG_LEASES = """
CREATE TABLE trade_executor.lease_log (at timestamptz, holder text, epoch bigint, port integer);
CREATE FUNCTION trade_executor.log_lease() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
    INSERT INTO trade_executor.lease_log VALUES (clock_timestamp(), NEW.holder::text, NEW.epoch, inet_client_port());
    RETURN NULL;
END $$;
CREATE TRIGGER log_lease AFTER INSERT OR UPDATE ON trade_executor.leases
    FOR EACH ROW EXECUTE FUNCTION trade_executor.log_lease()
"""


class Held(NamedTuple):
    """One entry of the lease's log; ``port`` is the holder's side of its connection to the database."""

    at: float
    holder: str
    epoch: int
    port: int


@dataclass(slots=True)
class Pause:
    """One executor stopped. ``tags`` are the orders committed as being sent while it stood."""

    kind: str
    led: bool
    held: Held
    began: float
    tags: list[str]
    ended: float = 0.0


@dataclass(slots=True)
class Hands:
    """One account with its executors, and what was asked of them."""

    platform: Platform
    rng: random.Random
    admin: psycopg.Connection[Any]
    told: Path
    """Where the next one to get there is told the place to stop at."""
    executors: list[ExecutorProcess] = field(default_factory=list)
    orders: list[OrderAccepted] = field(default_factory=list)
    pauses: list[Pause] = field(default_factory=list)
    order_at: float = 0.0

    def beat(self) -> None:
        """A moment passes; now and then somebody orders."""
        time.sleep(BEAT_S)
        if time.monotonic() < self.order_at:
            return
        self.order_at = time.monotonic() + ORDER_EVERY_S
        fresh = self.platform.order(self.rng.choice(NAMES[:8]), self.rng.randint(1, 40))
        self.orders.append(fresh)
        self.platform.publish([fresh])

    def beat_for(self, seconds: float) -> None:
        """Beats until so much time has passed."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.beat()

    def held(self) -> list[Held]:
        """Every acquisition and renewal of the lease."""
        rows = self.admin.execute(
            "SELECT extract(epoch FROM at)::float8, holder, epoch, port FROM trade_executor.lease_log ORDER BY at"
        )
        return [Held(*row) for row in rows]

    def leader(self) -> ExecutorProcess | None:
        """Who renewed the lease last."""
        row = self.admin.execute("SELECT port FROM trade_executor.lease_log ORDER BY at DESC LIMIT 1").fetchone()
        for executor in self.executors:
            if row and any(link.laddr.port == row[0] for link in psutil.Process(executor.pid).net_connections()):
                return executor
        return None

    def epochs(self) -> dict[str, tuple[int, str]]:
        """Epoch and state of every intent, by tag."""
        rows = self.admin.execute("SELECT tag, epoch, state FROM trade_executor.intents")
        return {tag: (epoch, state) for tag, epoch, state in rows}


def play(run: Run) -> Outcome:
    """Several desks side by side, each with an account, a broker, a database and three executors of its own."""
    desks = min(DESKS, 1 + run.size // 20)
    pieces = [Run(run.seed + number, -(-run.size // desks), run.deadline) for number in range(desks)]
    outcome, waits = Outcome(), list[float]()
    with ProcessPoolExecutor(desks, multiprocessing.get_context("spawn"), initializer=silence) as pool:
        for part, found in pool.map(play_desk, pieces):
            outcome.add(part)
            waits += found
    outcome.figures["lease s"] = LEASE_S
    _tell_failover(outcome, sorted(waits))
    if outcome.counts["pauses"] < run.size:
        outcome.missed.append(f"{outcome.counts['pauses']} pauses fitted into the time, not {run.size}")
    return outcome


def _tell_failover(outcome: Outcome, waits: list[float]) -> None:
    outcome.counts["pauses after which another led"] = len(waits)
    if not waits:
        outcome.missed.append("no pause made another lead")
        return
    p99 = waits[int(len(waits) * 0.99)]
    outcome.figures |= {
        "from the pause's begin until another sends, p50 s": round(waits[len(waits) // 2], 2),
        "from the pause's begin until another sends, p99 s": round(p99, 2),
    }
    if p99 > FAILOVER_S:
        outcome.missed.append(f"failover took {p99:.1f} s at p99")


def play_desk(run: Run) -> tuple[Outcome, list[float]]:
    """Pause after pause, what must hold looked at after each; then everything ends and is compared."""
    outcome = Outcome()
    with hands(run.seed) as desk:
        desk.beat_for(3 * LEASE_S)
        for kind in itertools.islice(plan(desk.rng), run.size):
            if run.left_s < SETTLE_S:
                break
            pause_once(desk, kind)
            desk.beat_for(REST_S)
            check(desk, outcome, kind)
        settle(desk, outcome)
        waits = judge(desk, outcome)
    return outcome, waits


@contextmanager
def hands(seed: int) -> Iterator[Hands]:
    """Three executors at work."""
    settings = {"lease_s": LEASE_S, "connect_timeout_s": CONNECT_S, "read_timeout_s": READ_S}
    with (
        TemporaryDirectory(prefix="saras-hands-") as folder,
        stage(window_s=0.1, reconcile_every_s=5, **settings) as platform,
        psycopg.connect(platform.database.admin_url, autocommit=True) as admin,
    ):
        admin.execute(_LOG_LEASES.encode())
        platform.start(executor=False)
        desk = Hands(platform, random.Random(seed), admin, Path(folder) / "told")
        try:
            for _ in range(EXECUTORS):
                desk.executors.append(ExecutorProcess(platform.settings, failpoint=f"@{desk.told}"))
            platform.wait(lambda: desk.leader() is not None and platform.listed > 0, 60)
            yield desk
        finally:
            for executor in desk.executors:
                executor.kill()


def plan(rng: random.Random) -> Iterator[str]:
    """Kinds of pauses, in another order each round."""
    while True:
        kinds = list(KINDS)
        rng.shuffle(kinds)
        yield from kinds


def pause_once(desk: Hands, kind: str) -> None:
    """Stop one executor for a while and let it go on."""
    stopped = _stop_any(desk) if kind == AT_RANDOM else _stop_at(desk, kind)
    if stopped is None:
        return
    leader = desk.leader()
    tags = [tag for tag, (_, state) in desk.epochs().items() if state == "SENDING"]
    pause = Pause(kind, leader is stopped, desk.held()[-1], time.time(), tags)
    desk.beat_for(desk.rng.uniform(SHORTEST, LONGEST) * LEASE_S)
    pause.ended = time.time()
    stopped.go_on()
    desk.pauses.append(pause)


def _stop_any(desk: Hands) -> ExecutorProcess:
    """The leader in two of three cases."""
    desk.beat_for(desk.rng.uniform(0, LEASE_S / 2))
    chosen = (desk.leader() if desk.rng.random() < 0.67 else None) or desk.rng.choice(desk.executors)
    chosen.pause()
    return chosen


def _stop_at(desk: Hands, place: str) -> ExecutorProcess | None:
    """Whoever gets to ``place`` first."""
    fresh = desk.told.with_suffix(".new")
    fresh.write_text(place)
    fresh.rename(desk.told)
    until = time.monotonic() + REACH_S
    while time.monotonic() < until:
        for executor in desk.executors:
            if executor.is_stopped:
                return executor
        desk.beat()
    desk.told.unlink(missing_ok=True)
    return next((executor for executor in desk.executors if executor.is_stopped), None)


def check(desk: Hands, outcome: Outcome, kind: str) -> None:
    """What must hold at any moment."""
    journal = desk.platform.sandbox.journal()
    found = find_doubled(journal) + find_sent_twice(journal) + find_ahead(desk.platform, desk.orders)
    outcome.violate(*(f"after a pause {kind}: {what}" for what in found))
    ended = [executor.wait_for_its_end(0) for executor in desk.executors]
    outcome.violate(*(f"an executor ended by itself with {code}" for code in ended if code is not None))


def find_sent_twice(journal: list[dict[str, Any]]) -> list[str]:
    """Blocks for which the broker took more than one order: here it refuses none, so one is all a block may have."""
    blocks = Counter(item["tag"][:TAG_ID_CHARACTERS] for item in journal if item["event"] == "order_accepted")
    return [f"{count} broker orders for the block {block}" for block, count in blocks.items() if count > 1]


def settle(desk: Hands, outcome: Outcome) -> None:
    """Nobody is stopped any more: every order ends, and broker and book are equal, suspense empty."""
    until = time.monotonic() + SETTLE_S
    lines = desk.platform.book.lines
    while time.monotonic() < until and any(lines[order.order_id].status not in ENDED for order in desk.orders):
        time.sleep(BEAT_S)
    journal = desk.platform.sandbox.journal()
    outcome.violate(*find_doubled(journal), *find_sent_twice(journal))
    outcome.violate(*find_unequal(desk.platform, journal, desk.orders))
    for order in desk.orders:
        line = lines[order.order_id]
        if line.status != "FILLED" or line.filled != order.quantity:
            outcome.violate(f"order {order.order_id} for {order.quantity} is {line.status} with {line.filled}")
    suspense = {name: count for name, count in desk.platform.book.suspense_shares.items() if count}
    outcome.violate(*(f"{count} of {name} belong to nobody" for name, count in suspense.items()))
    outcome.counts["user orders"] = len(desk.orders)
    outcome.counts["broker orders"] = sum(item["event"] == "order_accepted" for item in journal)


def judge(desk: Hands, outcome: Outcome) -> list[float]:
    """Who sent after waking up, by kind of pause; seconds from a leader's pause until another sent."""
    held, epochs = desk.held(), desk.epochs()
    accepted = {
        item["tag"]: datetime.fromisoformat(item["at"]).timestamp()
        for item in desk.platform.sandbox.journal()
        if item["event"] == "order_accepted"
    }
    waits: list[float] = []
    for pause in desk.pauses:
        outcome.counts["pauses"] += 1
        outcome.counts[f"pauses {pause.kind}"] += 1
        outcome.counts["pauses of the leader"] += pause.led
        if not pause.led:
            continue
        successor = next((each for each in held if each.epoch > pause.held.epoch), None)
        if successor is not None and successor.holder != pause.held.holder and successor.at < pause.ended + LEASE_S:
            sent = [at for tag, at in accepted.items() if epochs[tag][0] >= successor.epoch and at >= successor.at]
            waits += [min(sent) - pause.began] if sent else []
        old = [tag for tag in pause.tags if epochs[tag][0] == pause.held.epoch]  # others were begun anew by who leads
        late = [tag for tag in old if accepted.get(tag, 0.0) >= pause.ended]
        if pause.ended - pause.began > LEASE_S:
            _judge_late(outcome, pause, late, epochs)
    return waits


def _judge_late(outcome: Outcome, pause: Pause, late: list[str], epochs: dict[str, tuple[int, str]]) -> None:
    """The lease was over when it woke up; ``late`` was sent after that, under it."""
    if pause.kind != AFTER_CHECK:
        outcome.counts["woke up after their lease, and sent nothing"] += not late
        outcome.violate(*(f"{tag} was sent by one who woke up {pause.kind} after its lease" for tag in late))
        return
    outcome.counts["woke up between the look and the bytes, after their lease"] += 1
    outcome.counts["of these sent, found by tag"] += sum(epochs[tag][1] in {"SENT", "ADOPTED"} for tag in late)
    outcome.violate(
        *(f"{tag}, sent on waking up, is {epochs[tag][1]}" for tag in late if epochs[tag][1] not in {"SENT", "ADOPTED"})
    )


CAMPAIGN = Campaign(
    number=4,
    target="three executors on one account, 200 pauses of 0.5 to 3 leases, at random, right before and right after the"
    " last look at the lease, and within a transaction: nothing sent twice, another sends within 5 s at p99",
    size=200,
    bound_s=600,
    play=play,
)
