"""Campaign 2, the other half: a harness that misses a planted bug proves nothing.

Each bug of the catalogue is put in and schedules are played until one shows it, from several seeds; what counts is
that every search finds it, and the median number of schedules that took.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from prove import courier
from prove.bugs import booking, following, messages, sending
from prove.bugs.catalogue import Bug
from prove.campaign import Campaign, Outcome, Run, median, spread
from prove.ledger import LedgerBook

from trade_executor.testing.schedule import Schedule

BUGS: tuple[Bug, ...] = (*sending.bug.bugs, *following.bug.bugs, *booking.bug.bugs, *messages.bug.bugs)

SEARCHES = 5
MOST_SCHEDULES = 3000
"""A search that has played so many has not found it."""

STRIDE = 1_000_000
HANGS_S = 20


class Hangs(Exception):
    """A schedule that does not end: found as well."""


def finds(seed: int) -> str | None:
    """What the schedule of ``seed`` shows to be wrong, a crash of our own code included."""
    try:
        with time_limit(HANGS_S):
            wrong = Schedule(seed, LedgerBook()).play()
    except Exception as error:  # noqa: BLE001 - whatever the bug makes the code raise, it has shown itself
        return f"{type(error).__name__}: {error}"
    return wrong[0] if wrong else None


@contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    """`Hangs` in this thread after so many seconds."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise Hangs

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def search(bug: Bug, start: int, most: int) -> tuple[int, str] | None:
    """Schedules it took to find ``bug`` from seed ``start``, and what showed it; ``None`` when ``most`` did not."""
    find: Callable[[int], str | None] = courier.finds if bug.where == "messages" else finds
    with bug.planted():
        for count in range(1, most + 1):
            shown = find(start + count - 1)
            if shown is not None:
                return count, shown
    return None


def search_some(first: int, count: int) -> Outcome:
    """Searches ``first`` to ``first + count - 1``, numbered through all bugs; ``first`` holds the seed as well."""
    outcome = Outcome()
    for number in range(first, first + count):
        seed, index = divmod(number, len(BUGS))
        bug = BUGS[index]
        found = search(bug, seed * STRIDE, MOST_SCHEDULES)
        outcome.counts["searches"] += 1
        if found is None:
            outcome.violate(f"not found: {bug.name} ({bug.where}), seed {seed * STRIDE}")
            continue
        outcome.counts["schedules"] += found[0]
        outcome.figures[f"{bug.where}: {bug.name} #{seed}"] = found[0]
    return outcome


def play(run: Run) -> Outcome:
    """``run.size`` searches for every bug."""
    bugs = len(BUGS)
    searches = Run(run.seed * bugs, run.size * bugs, run.deadline, run.processes)
    outcome = spread(search_some, searches, chunk=1)
    needed: dict[str, list[float]] = {}
    for name, count in outcome.figures.items():
        needed.setdefault(name.rpartition(" #")[0], []).append(float(count or 0))
    outcome.figures = {f"schedules for: {name}": median(counts) for name, counts in needed.items()}
    outcome.counts["bugs planted"] = bugs
    outcome.counts["bugs found"] = len(needed)
    if needed:
        outcome.figures["median schedules needed"] = median(median(counts) for counts in needed.values())
    if outcome.counts["searches"] < run.size * bugs:
        outcome.missed.append(f"{outcome.counts['searches']} searches of {run.size * bugs} fitted into the time")
    return outcome


CAMPAIGN = Campaign(
    number=2,
    target="30 planted bugs and more in the executor, the book and the messages between them: all found",
    size=SEARCHES,
    bound_s=600,
    play=play,
)
