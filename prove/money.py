"""Campaign 5, without a database: who gets the lots, at what price, and whether every paisa is somebody's.

Blocks of random orders fill in random parts. The executor's numpy code shares them out and prices them; an oracle of
plain big integers, which knows the rules and none of that code, judges every step. Then 5,000 blocks that end short,
to see whether credits keep anybody from falling behind for good.
"""

import math
import random
from fractions import Fraction
from uuid import UUID

import numpy as np
from prove.campaign import Campaign, Outcome, Run, spread

from trade_executor.core.allocation import allocate_array, next_credit
from trade_executor.core.book import Shares, Statement
from trade_executor.core.ids import Ids
from trade_executor.core.posting import Posted, Shared, post_average, post_exactly, share_fills
from trade_executor.domain import Block, BlockKey

CHUNK = 2_000
"""Allocations a process plays at once."""

DRIFT_BLOCKS, DRIFT_USERS, DRIFT_LIMIT = 5_000, 40, 1.1
KEY = BlockKey("NSE:INFY", "BUY", "MIS", "MARKET", "DAY", None, None)


class Judge:
    """What must hold of one block's postings, in integers that have no end."""

    def __init__(self, wanted: list[int]) -> None:
        self.wanted = wanted
        self.whole = sum(wanted)
        self.lots = [0] * len(wanted)
        self.told = [0, 0, 0]
        """Lots, value and charges posted so far: the ledger."""

    def shared(self, lots: list[int], filled: int) -> list[str]:
        """Every lot is given, none twice or back, nobody is a lot away from the exact share."""
        wrong = []
        if sum(lots) != filled:
            wrong.append(f"{sum(lots)} lots of {filled}")
        for before, now, want in zip(self.lots, lots, self.wanted, strict=True):
            if not before <= now <= want:
                wrong.append(f"{before} lots became {now} of {want}")
            if abs(now * self.whole - filled * want) >= self.whole:
                wrong.append(f"{now} of {want} when {filled} of {self.whole} filled")
        self.lots = lots
        return wrong

    def posted(self, posted: Posted, value: int, charges: int) -> list[str]:
        """Users and suspense together have what the broker says, after every posting."""
        self.told[0] += sum(posted.lots.tolist()) + posted.suspense_quantity
        self.told[1] += sum(posted.priced.value_paise.tolist()) + posted.suspense_value_paise
        self.told[2] += sum(map(sum, posted.priced.charges.tolist())) + posted.suspense_charges_paise
        filled = sum(self.lots)
        return [] if self.told == [filled, value, charges] else [f"ledger {self.told}, broker {filled, value, charges}"]

    def ended(self, posted: Posted, value: int) -> list[str]:
        """Everybody paid the one average, to the paisa, and nothing is left over."""
        filled, wrong = sum(self.lots), []
        values = posted.shares.value_paise.tolist()
        if sum(values) != value or posted.block.suspense_value_paise or posted.block.suspense_charges_paise:
            wrong.append(f"{sum(values)} of {value} and {posted.block.suspense_value_paise} left over")
        for got, paid in zip(self.lots, values, strict=True):
            if abs(paid * filled - value * got) >= filled:
                wrong.append(f"{paid} for {got} lots of {value} for {filled}")
        return wrong


def _statement(draw: random.Random) -> Statement:
    """Orders in canonical order; one block in a hundred is far past 64 bits."""
    count = draw.choice((1, 2, 3, 5, 8, 13, 40))
    top = draw.choice((3, 50, 500, 20_000)) if draw.randrange(100) else 4 * 10**9
    wanted = sorted((draw.randint(1, top) for _ in range(count)), reverse=True)
    credits_ = None
    if draw.randrange(2):
        credits_ = tuple(Fraction(draw.randint(-60, 60), 60) for _ in wanted)
    return Statement(
        Ids.of(UUID(int=row + 1) for row in range(count)),
        Ids.of(UUID(int=1000 + row) for row in range(count)),
        np.array(wanted, np.int64),
        np.arange(count, dtype=np.int64),
        np.zeros(count, np.int64),
        np.zeros(count, np.bool_),
        credits_,
    )


def play_block(draw: random.Random) -> tuple[int, list[str]]:
    """One block, filled in parts and ended; allocations made and what was wrong."""
    statement = _statement(draw)
    judge = Judge(statement.wanted.tolist())
    block = Block(UUID(int=1), UUID(int=2), "main", KEY, statement.quantity, "")
    shares, charges = Shares.none(len(statement)), [0] * 7
    steps = 0
    price = draw.randint(1, 500_000)
    wrong: list[str] = []
    while block.filled < judge.whole and draw.randrange(12):
        left = judge.whole - block.filled
        lots = draw.randint(1, min(left, draw.choice((1, 3, left))))
        value = lots * max(1, price + draw.randint(-500, 500))
        charges = [kind + draw.randrange(5_000) for kind in charges]
        shared = share_fills(block, statement, shares, lots, value, tuple(charges))
        posted = post_average(shared, shares)
        block, shares, steps = posted.block, posted.shares, steps + 1
        wrong += judge.shared(shares.allocated.tolist(), block.filled)
        wrong += judge.posted(posted, block.value_paise, sum(charges))
    if block.filled:
        final = post_exactly(Shared(block, shares.allocated, 0), shares)
        wrong += judge.posted(final, block.value_paise, sum(charges)) + judge.ended(final, block.value_paise)
    return steps, wrong


def play_some(first: int, count: int) -> Outcome:
    """Blocks until ``count`` allocations are made."""
    draw, outcome = random.Random(first), Outcome()
    while outcome.counts["allocations"] < count:
        steps, wrong = play_block(draw)
        outcome.violate(*(f"seed {first}: {what}" for what in wrong))
        outcome.counts["allocations"] += steps
        outcome.counts["blocks with their ledgers"] += 1
    return outcome


def drift(seed: int, blocks: int) -> float:
    """Lots the user worst off was ever away from the exact share, over blocks that end short."""
    draw = np.random.default_rng(seed)
    owed = [Fraction(0)] * DRIFT_USERS
    missed = [Fraction(0)] * DRIFT_USERS
    worst = Fraction(0)
    for _ in range(blocks):
        wanted = draw.integers(1, 30, DRIFT_USERS)
        order = np.argsort(-wanted, kind="stable")
        whole, none = int(wanted.sum()), np.zeros(DRIFT_USERS, np.int64)
        filled = int(draw.integers(1, whole))
        lots = none.copy()
        lots[order] = allocate_array(wanted[order], none, filled, [owed[row] for row in order.tolist()])
        for row, (want, got) in enumerate(zip(wanted.tolist(), lots.tolist(), strict=True)):
            owed[row] = next_credit(owed[row], want, got, filled, whole)
            missed[row] += Fraction(filled * want, whole) - got
        worst = max(worst, *(abs(each) for each in missed))
    return float(worst)


def play(run: Run) -> Outcome:
    """Allocations spread over processes, then the drift."""
    outcome = spread(play_some, run, chunk=CHUNK)
    if outcome.counts["allocations"] < run.size:
        outcome.missed.append(f"{outcome.counts['allocations']:,} allocations fitted into the time, not {run.size:,}")
    blocks = math.ceil(DRIFT_BLOCKS * min(1.0, run.size / CAMPAIGN.size))
    worst = drift(run.seed, blocks)
    outcome.counts["partly filled blocks for fairness"] = blocks
    outcome.figures["worst drift in lots"] = round(worst, 3)
    if worst >= DRIFT_LIMIT:
        outcome.violate(f"somebody drifted {worst:.3f} lots from the exact share")
    return outcome


CAMPAIGN = Campaign(
    number=5,
    target="1,000,000 random allocations and their ledgers exact to the lot and the paisa; fairness drift below 1.1"
    " lots over 5,000 partly filled blocks of 40 users",
    size=1_000_000,
    bound_s=600,
    play=play,
)
