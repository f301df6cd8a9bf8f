"""Campaign 12: the database in trouble beneath a whole platform, under a steady flow of orders over HTTP.

PostgreSQL's first process and single backends are killed, the way to it is cut, blocked and left half open, its disk
is full. Customers must get 202 or 503 with Retry-After, and that soon; what was answered 202 is kept (each receipt is
on the disk before its customer goes on), nothing is at the broker twice, and orders flow again soon after the database
is back. The books are compared after every trouble.
"""

import contextlib
import ctypes
import os
import random
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from prove.campaign import Campaign, Outcome, Run
from prove.hearing import Heard, Watcher
from prove.whole import Whole, whole_platform
from sqlalchemy.engine import make_url

from saras_common.errors import Unavailable
from saras_common.postgres import EmbeddedPostgres, PostgresFailed, free_port
from saras_common.testing.way import Way

PEOPLE = 4
PAUSE_S = 0.3
BACK_WITHIN_S = 15.0
GIVEN_UP_S = 60.0
HANGS_S = (4.0, 12.0)
DISK_MB = 1_000
KEPT_FREE_KB = 64
FULL_S = 8.0
LOOK_EVERY_S = 0.1
CALM_S = 0.5
START_AND_AUDIT_S = 100.0
CLONE_NEWNS = 0x20000

SMALL = {"max_wal_size": "256MB", "shared_buffers": "64MB"}
"""So that a small disk holds it."""


@dataclass
class Scene:
    """The platform, its server and the way between them."""

    whole: Whole
    server: EmbeddedPostgres
    way: Way
    admin_url: str
    rng: random.Random
    heard: Heard
    outcome: Outcome
    disk: Path | None
    recoveries: dict[str, list[float]] = field(default_factory=dict)

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        """Rows, by the direct way."""
        with psycopg.connect(self.admin_url, autocommit=True, connect_timeout=3) as connection:
            return connection.execute(statement.encode()).fetchall()

    def answers(self) -> bool:
        """Whether the server takes statements that write."""
        try:
            with psycopg.connect(self.admin_url, autocommit=True, connect_timeout=3) as connection:
                connection.execute("CREATE TEMPORARY TABLE probe (one integer)")
        except psycopg.Error:
            return False
        return True


# --- troubles; each returns when the database is there again


def kill_server(scene: Scene) -> None:
    """SIGKILL to the server's first process, and an immediate restart."""
    end(scene.server)
    start_again(scene.server)


def end(server: EmbeddedPostgres) -> None:
    """SIGKILL to a server's first process."""
    process = server.process
    assert process is not None
    process.kill()
    process.wait()
    if process.stdin is not None:
        process.stdin.close()


def start_again(server: EmbeddedPostgres) -> None:
    """Start as often as it takes: what the last one left behind goes within moments."""
    until = time.monotonic() + GIVEN_UP_S
    while True:
        try:
            server.start()
        except PostgresFailed:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)
        else:
            return


def kill_backend(scene: Scene) -> None:
    """SIGKILL to one backend of a service: the server ends all others and recovers by itself."""
    rows = scene.ask(
        "SELECT pid FROM pg_stat_activity WHERE usename IN ('portfolio_service', 'trade_executor', 'user_service')"
    )
    os.kill(scene.rng.choice(rows)[0], signal.SIGKILL)
    time.sleep(0.1)
    _wait(scene.answers)


def cut_way(scene: Scene) -> None:
    """Every connection is reset, new ones are refused."""
    scene.way.cut()
    time.sleep(scene.rng.uniform(1, 4))
    scene.way.mend()


def hang_way(scene: Scene) -> None:
    """Nothing passes for a while, and then all goes on."""
    scene.way.hang()
    time.sleep(scene.rng.uniform(*HANGS_S))
    scene.way.mend()


def leave_half_open(scene: Scene) -> None:
    """Nothing passes; then new connections do, and what was there is silent for ever."""
    scene.way.hang()
    time.sleep(scene.rng.uniform(*HANGS_S))
    scene.way.leave_half_open()


def fill_disk(scene: Scene) -> None:
    """No room is left; then there is."""
    assert scene.disk is not None
    filler = scene.disk / "filler"
    _fill(filler)
    until = time.monotonic() + FULL_S
    while time.monotonic() < until:
        time.sleep(0.5)
        _fill(filler)  # whatever was set free meanwhile
    scene.outcome.counts["seconds without room on the disk"] += round(FULL_S)
    filler.unlink()
    if scene.server.process is not None and scene.server.process.poll() is not None:
        scene.outcome.counts["servers ended by the full disk"] += 1
    start_again(scene.server)
    _wait(scene.answers)


def _fill(filler: Path) -> None:
    with contextlib.suppress(OSError), filler.open("ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12):
            with contextlib.suppress(OSError):
                while file.write(b"\0" * size) == size:
                    pass


def _wait(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + GIVEN_UP_S
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError("the database did not come back")
        time.sleep(0.05)


TROUBLES: dict[str, tuple[Callable[[Scene], None], int]] = {
    "server killed": (kill_server, 15),
    "backend killed": (kill_backend, 15),
    "way cut": (cut_way, 4),
    "way hung": (hang_way, 4),
    "way left half open": (leave_half_open, 3),
    "disk full": (fill_disk, 2),
}
"""Each with how often of 43."""


def play(run: Run) -> Outcome:
    """Trouble after trouble while there is time; then everything settles and is compared."""
    outcome, rng = Outcome(), random.Random(run.seed)
    with scene_of(run.seed, outcome) as scene:
        kinds = plan(rng, run.size)
        if scene.disk is None:
            outcome.missed.append("no disk could be filled: mounting one of our own is not allowed here")
            kinds = [kind for kind in kinds if kind != "disk full"]
        played = 0
        for kind in kinds:
            if run.left_s < START_AND_AUDIT_S:
                break
            trouble(scene, kind)
            played += 1
        finish(scene)
        if played < len(kinds):
            outcome.missed.append(f"{played} of {len(kinds)} troubles fitted into the time")
    return outcome


def plan(rng: random.Random, size: int) -> list[str]:
    """``size`` troubles, the rare ones among the first."""
    every = [kind for kind, (_, often) in TROUBLES.items() for _ in range(often)]
    rng.shuffle(every)
    first = list(TROUBLES)
    rng.shuffle(first)
    for kind in first:
        every.remove(kind)
    return [*first, *every][:size]


@contextmanager
def scene_of(seed: int, outcome: Outcome) -> Iterator[Scene]:
    """A platform with customers who order, on a server of ours behind a way of ours."""
    with (
        tempfile.TemporaryDirectory(prefix="saras-prove-", ignore_cleanup_errors=True) as folder,
        own_disk(Path(folder) / "disk") as disk,
    ):
        Path(folder).chmod(0o711)  # where root's server runs as nobody, it must get through
        server = EmbeddedPostgres(Path(folder) / "disk" / "postgres", port=free_port(), settings=SMALL)
        url = make_url(server.start())
        assert url.port is not None
        try:
            with Way(url.port) as way:
                through = url.set(port=way.port).render_as_string(hide_password=False)
                with whole_platform(Path(folder), people=PEOPLE, server=server.home, DATABASE_URL=through) as whole:
                    heard = Heard()
                    scene = Scene(
                        whole,
                        server,
                        way,
                        url.render_as_string(hide_password=False),
                        random.Random(seed),
                        heard,
                        outcome,
                        disk,
                    )
                    whole.customers += [
                        Watcher(whole, number, heard, seed=seed + number, pause_s=PAUSE_S) for number in range(PEOPLE)
                    ]
                    for customer in whole.customers:
                        customer.start()
                    yield scene
        finally:
            server.stop()


@contextmanager
def own_disk(folder: Path) -> Iterator[Path | None]:
    """A small file system at ``folder`` that only this thread and what it starts can see; ``None`` where forbidden."""
    folder.mkdir(mode=0o711)
    is_mounted = os.geteuid() == 0 and ctypes.CDLL(None).unshare(CLONE_NEWNS) == 0 and _mounts(folder)
    try:
        yield folder if is_mounted else None
    finally:
        if is_mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=False)


def _mounts(folder: Path) -> bool:
    commands = (
        ["mount", "--make-rprivate", "/"],
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m,mode=711", "tmpfs", str(folder)],
    )
    return all(subprocess.run(command, check=False, capture_output=True).returncode == 0 for command in commands)


def trouble(scene: Scene, kind: str) -> None:
    """One of them; then until an order asked for after it has been filled, and the books compared."""
    _calm(scene)
    scene.whole.close_reader()
    TROUBLES[kind][0](scene)
    back_at = time.monotonic()
    ended_at = None
    while ended_at is None and time.monotonic() - back_at < GIVEN_UP_S:
        time.sleep(LOOK_EVERY_S)
        with contextlib.suppress(Unavailable):
            scene.whole.look()
        ended_at = scene.whole.first_end_of_a_later_one(back_at)
    outcome = scene.outcome
    outcome.counts["troubles"] += 1
    outcome.counts[kind] += 1
    if ended_at is None:
        outcome.violate(f"{kind}: no order ended within {GIVEN_UP_S:.0f} s of the database's return")
    else:
        scene.recoveries.setdefault(kind, []).append(ended_at - back_at)
    outcome.violate(*(f"after {kind}: {what}" for what in scene.whole.faults()))
    if kind == "way left half open":
        scene.way.bury()


def _calm(scene: Scene) -> None:
    """Customers order in peace for a moment."""
    until = time.monotonic() + CALM_S
    while time.monotonic() < until:
        time.sleep(LOOK_EVERY_S)
        with contextlib.suppress(Unavailable):
            scene.whole.look()


def finish(scene: Scene) -> None:
    """No more trouble: every promised order ends, everything is compared, and what customers heard is told."""
    outcome, heard = scene.outcome, scene.heard
    scene.whole.close_doors()
    if not scene.whole.settle():
        outcome.violate("not every promised order ended")
    outcome.violate(*scene.whole.audit())
    outcome.violate(*heard.wrong)
    outcome.counts["kills"] = outcome.counts["server killed"] + outcome.counts["backend killed"]
    outcome.counts["orders answered 202"] = sum(customer.counts["orders"] for customer in scene.whole.customers)
    outcome.counts["answers 503"] = heard.statuses[503]
    outcome.figures["longest answer s"] = round(heard.longest_s, 1)
    if heard.refusals_s:
        ranked = sorted(heard.refusals_s)
        outcome.figures["a 503 took, p50 s"] = round(ranked[len(ranked) // 2], 2)
    for kind, times in scene.recoveries.items():
        outcome.figures[f"orders end again after: {kind}, worst s"] = round(max(times), 1)
        slow = sum(seconds > BACK_WITHIN_S for seconds in times)
        if slow:
            outcome.missed.append(
                f"{slow} of {len(times)} times orders flowed later than {BACK_WITHIN_S:.0f} s after: {kind}"
            )


CAMPAIGN = Campaign(
    number=12,
    target="PostgreSQL killed 30 times (its first process, single backends), its disk full, the way to it cut, hung and"
    " left half open, under a platform with a steady flow of orders: 503 with Retry-After or 202 within 30 s, nothing"
    " answered 202 lost, nothing doubled, orders ending again within 15 s of its return, books balanced after each",
    size=43,
    bound_s=600,
    play=play,
)
