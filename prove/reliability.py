"""results.json and the page made of it: only what was really run."""

import json
from pathlib import Path
from typing import Any

Row = dict[str, Any]

TITLES = {
    1: "Crashes",
    2: "Simulation",
    3: "Ambiguous answers",
    4: "Two hands",
    5: "Money",
    6: "Messages",
    7: "Tokens and sessions",
    8: "Other people's things",
    9: "Bad input and load",
    10: "Controls",
    11: "Evidence",
    12: "Database trouble",
}

HEAD = """# Reliability

What the platform promises (the invariants in [ARCHITECTURE.md](../ARCHITECTURE.md)) and how hard it was tried to break
it. `make prove` plays every campaign, `make prove only="simulation money"` some of them; each prints the seed that
everything random in it came from, and `seed=` repeats it. A slice of each, with a fixed seed, is part of `make test`.

This page is written by `make prove` from `prove/results.json`: it holds what was run, on the day it says, and nothing
else. A campaign that is not here was not run.
"""


def record(row: Row, path: Path) -> None:
    """Add a campaign's row, in place of its last one."""
    rows = {known["name"]: known for known in _rows(path)} | {row["name"]: row}
    ordered = sorted(rows.values(), key=lambda each: (each["number"], each["name"]))
    path.write_text(json.dumps(ordered, indent=1) + "\n")


def page(path: Path) -> str:
    """The page of all results so far."""
    rows = _rows(path)
    table = ["| | campaign | what was run | violations | seconds | on |", "|---|---|---|---|---|---|"]
    for row in rows:
        what = ", ".join(f"{row['counts'].get(name, 0):,} {name}" for name in _headline(row))
        cells = (
            row["number"],
            f"[{row['name']}](#{row['name']})",
            what,
            row["violations"],
            row["seconds"],
            row["ran_on"],
        )
        table.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    return "\n".join([HEAD, *table, "", *(_section(row) for row in rows)])


HEADLINES = {
    "processes": ("kills", "orders promised to customers", "times the books were compared"),
    "rolling": ("requests", "failed requests", "processes replaced"),
    "allinone": ("kills", "orders promised to customers", "times the books were compared"),
    "simulation": ("schedules", "orders", "crashes"),
    "planted": ("bugs planted", "bugs found"),
    "hands": ("pauses", "pauses after which another led", "user orders"),
    "messages": ("events", "RabbitMQ killed", "forged or altered postbacks"),
    "database": ("troubles", "kills", "orders answered 202"),
    "money": ("allocations", "partly filled blocks for fairness"),
    "races": ("oversell races", "overspend races"),
    "tokens": ("hostile tokens and ways to show them", "protected routes", "attempts"),
    "strangers": ("checks", "requests with the application's check off", "columns offered in a body"),
    "controls": ("orders over a limit", "halts under fire"),
    "input": ("cases", "ambiguous requests", "forged heads"),
    "load": ("healthy calls measured",),
    "secrets": ("canaries", "places searched", "leaks planted", "leaks found"),
    "evidence": ("tamperings", "rights of database logins tried"),
}
"""Counts that say it in a line; of other campaigns the first three."""


def _headline(row: Row) -> tuple[str, ...]:
    return HEADLINES.get(row["name"], tuple(row["counts"])[:3])


def _section(row: Row) -> str:
    lines = [f"## {row['name']}", "", f"*{TITLES[row['number']]}.* Target: {row['target']}", ""]
    lines += [f"* {name}: {count:,}" for name, count in row["counts"].items()]
    lines += [f"* {name}: {_value(value)}" for name, value in row["figures"].items()]
    lines += [f"* violations: **{row['violations']}**", ""]
    if row["size"] < row["full_size"]:
        lines += [f"Only {row['size']:,} of {row['full_size']:,} were played.", ""]
    lines += [f"Below the target: {what}." for what in row["missed"]]
    lines += [f"Violated: {what}." for what in row["examples"]]
    if row["missed"] or row["examples"]:
        lines.append("")
    took = f"{row['seconds']} s ({row['cpu_seconds']} s of processor time) on {row['ran_on']}"
    lines += [f"{took}: `make prove only={row['name']} seed={row['seed']}`", ""]
    return "\n".join(lines)


def _value(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def _rows(path: Path) -> list[Row]:
    rows: list[Row] = json.loads(path.read_text()) if path.exists() else []
    return rows
