"""`make prove`: campaigns that try to break what the platform promises; writes results.json and docs/reliability.md.

`make prove only="simulation money"` for some. A campaign prints its seed; `python -m prove.run NAME --seed N`
repeats it, `--size` plays more or less of it. Exits 1 when anything that must hold did not.
"""

import argparse
import importlib
import os
import secrets
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from prove import reliability
from prove.campaign import Campaign, Outcome, Run, plain, silence

NAMES = (
    "crashes",
    "processes",
    "rolling",
    "allinone",
    "simulation",
    "planted",
    "ambiguous",
    "hands",
    "money",
    "races",
    "messages",
    "tokens",
    "strangers",
    "input",
    "load",
    "controls",
    "evidence",
    "secrets",
    "database",
)
"""Campaigns, each a module with a `CAMPAIGN`."""

RESULTS = Path(__file__).parent / "results.json"
PAGE = Path(__file__).parent.parent / "docs" / "reliability.md"


def main() -> int:
    """Play what was named, or everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("only", nargs="*", metavar="campaign", help="some of: " + ", ".join(NAMES))
    parser.add_argument("--seed", type=int, help="what everything random comes from; drawn and printed by default")
    parser.add_argument("--size", type=int, help="how much to play; the campaign's own size by default")
    parser.add_argument("--bound", type=float, help="seconds it may take, where others use the machine as well")
    parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--dry", action="store_true", help="do not write results.json and docs/reliability.md")
    arguments = parser.parse_args()
    unknown = set(arguments.only) - set(NAMES)
    if unknown:
        parser.error(f"no such campaign: {', '.join(sorted(unknown))}")
    silence()
    failed = False
    for name in arguments.only or NAMES:
        campaign: Campaign = importlib.import_module(f"prove.{name}").CAMPAIGN
        seed = secrets.randbelow(10**9) if arguments.seed is None else arguments.seed
        row = play(name, campaign, seed=seed, arguments=arguments)
        failed |= row["violations"] > 0
        if not arguments.dry:
            reliability.record(row, RESULTS)
            PAGE.write_text(reliability.page(RESULTS))
    return 1 if failed else 0


def play(name: str, campaign: Campaign, *, seed: int, arguments: argparse.Namespace) -> reliability.Row:
    """One campaign, told as it goes; its row of the results."""
    size, bound_s = arguments.size or campaign.size, arguments.bound or campaign.bound_s
    print(f"{name}: {campaign.target} (seed {seed}, at most {bound_s:.0f} s)", flush=True)
    started, cpu_before = time.monotonic(), _cpu_s()
    outcome = campaign.play(Run(seed, size, started + bound_s, arguments.processes))
    seconds = time.monotonic() - started
    _tell(name, outcome, seconds, seed)
    return {
        "name": name,
        "number": campaign.number,
        "target": campaign.target,
        "seed": seed,
        "size": size,
        "full_size": campaign.size,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(_cpu_s() - cpu_before, 1),
        "bound_s": bound_s,
        "ran_on": datetime.now(UTC).date().isoformat(),
        **plain(outcome),
    }


def _cpu_s() -> float:
    """Of this process and those it started and saw end; servers that stand by themselves are not counted."""
    return sum(os.times()[:4])


def _tell(name: str, outcome: Outcome, seconds: float, seed: int) -> None:
    for what, count in sorted(outcome.counts.items()):
        print(f"  {what}: {count:,}")
    for what, value in sorted(outcome.figures.items()):
        print(f"  {what}: {value}")
    for what in outcome.examples:
        print(f"  VIOLATED: {what}")
    for what in outcome.missed:
        print(f"  missed: {what}")
    print(
        f"  {outcome.violations} violations in {seconds:.1f} s; again: make prove only={name} seed={seed}", flush=True
    )


if __name__ == "__main__":
    sys.exit(main())
