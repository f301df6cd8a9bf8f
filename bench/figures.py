"""What a bench answers with, and the table of them."""

import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

RUNS = int(os.environ.get("BENCH_RUNS", "3"))
"""How often each figure is taken; the middle one counts."""


@dataclass(frozen=True)
class Figure:
    """One measured line. ``value`` is the median of ``runs``; a goal is met when ``met`` says so."""

    name: str
    unit: str
    value: float
    runs: list[float] = field(default_factory=list)
    goal: str = ""
    met: bool | None = None
    note: str = ""


def median_of(runs: Sequence[float]) -> float:
    """The middle run."""
    return statistics.median(runs)


def repeat(times: int, once: Callable[[], float]) -> list[float]:
    """``once`` so many times."""
    return [once() for _ in range(times)]


def machine() -> Figure:
    """How quick this machine is just now, and how busy: what all other figures stand on."""

    def once() -> float:
        started, total = time.perf_counter(), 0
        for number in range(5_000_000):
            total += number
        return time.perf_counter() - started

    runs = repeat(3, once)
    busy = f"{os.getloadavg()[0]:.1f} processes wanted one of {os.cpu_count()} cores before it began"
    return Figure("machine: 5,000,000 additions in Python", "s", median_of(runs), runs, note=busy)


def show(figures: Sequence[Figure]) -> None:
    """A table for people."""
    table = Table(title="Saras, measured in one run")
    for heading in ("what", "median", "unit", "goal", "", "note"):
        table.add_column(heading, justify="right" if heading == "median" else "left")
    for figure in figures:
        mark = {True: "[green]met[/green]", False: "[red]below[/red]", None: ""}[figure.met]
        table.add_row(figure.name, f"{figure.value:,.3g}" if figure.value < 1000 else f"{figure.value:,.0f}",
                      figure.unit, figure.goal, mark, figure.note)  # fmt: skip
    Console(width=150).print(table)


def write(figures: Sequence[Figure], path: Path) -> None:
    """Add to or replace in the results file, by name."""
    known = {row["name"]: row for row in json.loads(path.read_text())} if path.exists() else {}
    known |= {figure.name: asdict(figure) for figure in figures}
    path.write_text(json.dumps(list(known.values()), indent=1) + "\n")
