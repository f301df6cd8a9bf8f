"""What the book is told of a block's fills, from the state before and the broker's cumulative figures. Pure.

After every posting: Σ posted to orders + suspense = the broker's value and charges so far, to the paisa.
"""

from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction
from uuid import UUID

import numpy as np
import numpy.typing as npt

from trade_executor.core.allocation import Lots, next_credit
from trade_executor.core.book import FROZEN, TOLD, Shares, Statement, share_out
from trade_executor.core.pricing import Priced, price_exactly, price_new_lots
from trade_executor.domain import Block, Credit


@dataclass(frozen=True, slots=True)
class Posted:
    """The state after a posting, and the posting: parts by row, and what went to (or left) suspense."""

    block: Block
    shares: Shares
    rows: npt.NDArray[np.intp]
    lots: Lots
    priced: Priced
    suspense_quantity: int
    suspense_value_paise: int
    suspense_charges_paise: int

    @property
    def suspense(self) -> tuple[int, int, int]:
        """Lots, value and charges that belong to no order."""
        return self.suspense_quantity, self.suspense_value_paise, self.suspense_charges_paise

    @property
    def signed_quantity(self) -> int:
        """Net shares this posting adds to the account (sales < 0)."""
        lots = int(self.lots.sum()) + self.suspense_quantity
        return lots if self.block.is_buy else -lots

    @property
    def cash_paise(self) -> int:
        """Net cash this posting adds to the account, charges included."""
        value = int(self.priced.value_paise.sum()) + self.suspense_value_paise
        charges = int(self.priced.charges.sum()) + self.suspense_charges_paise
        return (-value if self.block.is_buy else value) - charges


@dataclass(frozen=True, slots=True)
class Shared:
    """Fills shared out and not yet priced: the block with them, lots of every row, lots nobody wants."""

    block: Block
    lots: Lots
    over: int


def share_fills(
    block: Block, statement: Statement, shares: Shares, quantity: int, value_paise: int, charges: tuple[int, ...]
) -> Shared:
    """Share out ``quantity`` new lots worth ``value_paise`` (both < 0 for a bust).

    ``charges`` are the block's cumulative charges with these fills.
    """
    frozen, told = (tuple(np.flatnonzero(shares.has(flag)).tolist()) for flag in (FROZEN, TOLD))
    filled = block.filled + quantity
    after = replace(
        block,
        filled=filled,
        value_paise=block.value_paise + value_paise,
        charges=charges,
        steps=(*block.steps, (filled, frozen, told)),
    )
    lots, over = share_out(statement, shares, filled)
    return Shared(after, lots, over)


def post_average(shared: Shared, shares: Shares) -> Posted:
    """Post the lots that changed at the block's running average; those a bust took back at what they were posted."""
    change = shared.lots - shares.allocated
    rows = np.flatnonzero(change)
    block = shared.block
    if int(change.sum()) < 0:
        priced = _price_taken_back(shares, rows, change[rows])
    else:
        priced = price_new_lots(change[rows], block.filled, block.value_paise, block.charges)
    return _posted(shared, shares, rows, priced)


def post_exactly(shared: Shared, shares: Shares) -> Posted:
    """Bring every order to its exact share of the block's value and charges, new lots included: names every order."""
    block = shared.block
    exact = price_exactly(shared.lots, block.filled, block.value_paise, block.charges)
    change = Priced(exact.value_paise - shares.value_paise, exact.charges - shares.charges)
    return _posted(shared, shares, np.arange(len(shared.lots)), change)


def _price_taken_back(shares: Shares, rows: npt.NDArray[np.intp], change: Lots) -> Priced:
    """Lots taken back leave with their part of what was posted for them; the last lot takes all."""
    had = shares.allocated[rows]
    return Priced(
        shares.value_paise[rows] * change // had,
        shares.charges[rows] * change[:, None] // had[:, None],
    )


def _posted(shared: Shared, shares: Shares, rows: npt.NDArray[np.intp], priced: Priced) -> Posted:
    block = shared.block
    values, charges = shares.value_paise.copy(), shares.charges.copy()
    values[rows] += priced.value_paise
    charges[rows] += priced.charges
    over_value = block.value_paise - int(values.sum())
    over_charges = sum(block.charges) - int(charges.sum())
    after = replace(
        block,
        suspense_quantity=shared.over,
        suspense_value_paise=over_value,
        suspense_charges_paise=over_charges,
    )
    return Posted(
        block=after,
        shares=replace(shares, allocated=shared.lots, value_paise=values, charges=charges),
        rows=rows,
        lots=(shared.lots - shares.allocated)[rows],
        priced=priced,
        suspense_quantity=shared.over - block.suspense_quantity,
        suspense_value_paise=over_value - block.suspense_value_paise,
        suspense_charges_paise=over_charges - block.suspense_charges_paise,
    )


def unfilled(statement: Statement, shares: Shares) -> npt.NDArray[np.intp]:
    """Rows that did not get all they asked for and whose end was not told."""
    return np.flatnonzero((shares.allocated < statement.wanted) & ~shares.has(TOLD))


def credits_after(statement: Statement, shares: Shares, touched_on: date) -> list[Credit]:
    """Credits carried from a block that ended short, for clients who stayed in it to the end.

    Shares are counted among these alone: who cancelled, and the house, neither owe nor are owed.
    """
    stayed = ~shares.has(FROZEN) & ~statement.house
    rows = np.flatnonzero(stayed)
    whole, filled = int(statement.wanted[rows].sum()), int(shares.allocated[rows].sum())
    if filled in {0, whole}:
        return []
    carried: dict[UUID, Credit] = {}
    for row in rows.tolist():
        user_id = statement.user_ids[row]
        owed = statement.credits[row] if statement.credits is not None else Fraction(0)
        before = owed + (carried[user_id].lots if user_id in carried else 0)
        lots = next_credit(before, int(statement.wanted[row]), int(shares.allocated[row]), filled, whole)
        carried[user_id] = Credit(user_id, lots, touched_on)
    return list(carried.values())
