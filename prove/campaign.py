"""What a campaign is, what it came to, and how one is spread over processes."""

import itertools
import logging
import multiprocessing
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

EXAMPLES = 20
"""Violations kept word for word; the others are counted."""


@dataclass(slots=True)
class Outcome:
    """What was run and what did not hold. Two outcomes add up."""

    counts: Counter[str] = field(default_factory=Counter)
    """What was done, by name."""
    figures: dict[str, float | str | None] = field(default_factory=dict)
    """What was measured."""
    violations: int = 0
    examples: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    """Goals not reached though nothing was violated: too few, too slow."""

    def violate(self, *what: str) -> None:
        """Something that must hold did not."""
        self.violations += len(what)
        self.examples = [*self.examples, *what][:EXAMPLES]

    def add(self, other: "Outcome") -> None:
        """Count another outcome in."""
        self.counts.update(other.counts)
        self.figures |= other.figures
        self.violations += other.violations
        self.examples = [*self.examples, *other.examples][:EXAMPLES]
        self.missed += other.missed


@dataclass(frozen=True, slots=True)
class Run:
    """How a campaign is to be run: everything random comes from ``seed``, ``size`` is how much of it."""

    seed: int
    size: int
    deadline: float
    """Monotonic; a campaign stops by itself before it, with what it has."""
    processes: int = 2

    @property
    def left_s(self) -> float:
        return self.deadline - time.monotonic()


@dataclass(frozen=True, slots=True)
class Campaign:
    """``size`` is what the full campaign plays (schedules, orders, …), ``bound_s`` the seconds it may take."""

    number: int
    """As in the list of campaigns in docs/reliability.md."""
    target: str
    size: int
    bound_s: float
    play: Callable[[Run], Outcome]


def spread(
    work: Callable[[int, int], Outcome], run: Run, *, chunk: int, enough: Callable[[Outcome], bool] | None = None
) -> Outcome:
    """``work(first, count)`` over ``range(seed, seed + size)`` in chunks, on several processes, while time is left.

    ``enough`` ends it early.
    """
    total = Outcome()
    chunks = _chunks(run, chunk)
    if run.processes == 1:
        for first, count in chunks:
            total.add(work(first, count))
            if run.left_s <= 0 or (enough is not None and enough(total)):
                break
        return total
    processes = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(run.processes, processes, initializer=silence) as pool:
        waiting: set[Future[Outcome]] = set()
        while True:
            while len(waiting) < 2 * run.processes and run.left_s > 0 and not (enough is not None and enough(total)):
                piece = next(chunks, None)
                if piece is None:
                    break
                waiting.add(pool.submit(work, *piece))
            if not waiting:
                return total
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                total.add(future.result())


def silence() -> None:
    """Campaigns provoke what services log; only their own lines are of interest."""
    logging.disable(logging.CRITICAL)


def _chunks(run: Run, chunk: int) -> Iterator[tuple[int, int]]:
    for start in range(0, run.size, chunk):
        yield run.seed + start, min(chunk, run.size - start)


def median(values: Iterable[float]) -> float:
    """The middle one; the lower of two."""
    ranked = sorted(values)
    return ranked[(len(ranked) - 1) // 2]


def plain(outcome: Outcome) -> dict[str, Any]:
    """For JSON, names in order."""
    return {
        "counts": dict(sorted(outcome.counts.items())),
        "figures": dict(sorted(outcome.figures.items())),
        "violations": outcome.violations,
        "examples": outcome.examples,
        "missed": outcome.missed,
    }


def first_lines(lines: Iterable[str], most: int = EXAMPLES) -> list[str]:
    """Some of them, for people."""
    return list(itertools.islice(lines, most))
