"""Campaign 2: the executor's whole core and the book's real decisions under seeded schedules of trouble.

A schedule is a world in memory: orders of several users, a broker that misbehaves, crashes, pauses, two leaders, a
clock that moves only when told. Every row written is watched, and once everything has ended the books are compared
with the broker's own journal (`trade_executor.testing.invariants`, `prove.ledger`).
"""

from prove.campaign import Campaign, Outcome, Run, spread
from prove.ledger import LedgerBook

from trade_executor.testing.schedule import Schedule

CHUNK = 250


def play_some(first: int, count: int) -> Outcome:
    """Schedules ``first`` to ``first + count - 1``."""
    outcome = Outcome()
    for seed in range(first, first + count):
        schedule = Schedule(seed, LedgerBook())
        outcome.violate(*(f"seed {seed}: {what}" for what in schedule.play()))
        outcome.counts.update(schedule.met)
    outcome.counts["schedules"] += count
    return outcome


def play(run: Run) -> Outcome:
    """As many schedules as ``run`` asks for."""
    outcome = spread(play_some, run, chunk=CHUNK)
    if outcome.counts["schedules"] < run.size:
        outcome.missed.append(f"{outcome.counts['schedules']:,} schedules fitted into the time, not {run.size:,}")
    return outcome


CAMPAIGN = Campaign(
    number=2,
    target="100,000 seeded schedules of duplicates, reorderings, crashes, pauses, timeouts, late visibility, late"
    " fills, lost logins, refusals, 429 and clock steps: no invariant violated",
    size=100_000,
    bound_s=600,
    play=play,
)
