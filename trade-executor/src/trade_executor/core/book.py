"""A block's orders as columns: the statement fixed when it is planned, and the state its fills move.

Rows stand in canonical order (clients before the house, larger demand, earlier arrival, smaller id), so a row's
number is its tie-break. Columns are arrays, never changed in place.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from trade_executor.core.allocation import Lots, allocate_array, take_back
from trade_executor.core.ids import Ids
from trade_executor.core.pricing import ChargeRows, Paise
from trade_executor.domain import NO_CHARGES

Flags = npt.NDArray[np.uint8]

FROZEN = 1
"""The user asked for the rest to be cancelled, or we keep the order out: no lots that can be avoided."""
REFUSED = 2
"""Kept out before sending (price beyond the hold): ends REJECTED, not CANCELLED."""
TOLD = 4
"""The order's end was published."""


@dataclass(frozen=True)
class Statement:
    """Who is in the block and for how much: fixed, hashed, never written again."""

    order_ids: Ids
    user_ids: Ids
    wanted: Lots
    arrivals: Lots
    caps_paise: Paise
    """Highest price an order's hold covers; 0 where there is none."""
    house: npt.NDArray[np.bool_]
    credits: tuple[Fraction, ...] | None
    """Lots owed by earlier blocks; ``None`` when nobody is owed anything."""

    def __len__(self) -> int:
        return len(self.order_ids)

    def keep(self, rows: npt.NDArray[np.intp]) -> "Statement":
        """Some of the rows."""
        return Statement(
            self.order_ids.keep(rows),
            self.user_ids.keep(rows),
            self.wanted[rows],
            self.arrivals[rows],
            self.caps_paise[rows],
            self.house[rows],
            None if self.credits is None else tuple(self.credits[row] for row in rows.tolist()),
        )

    @property
    def quantity(self) -> int:
        return int(self.wanted.sum())


@dataclass(frozen=True, slots=True)
class Shares:
    """What each order has so far: lots, and the value and charges posted for them."""

    allocated: Lots
    value_paise: Paise
    charges: ChargeRows
    flags: Flags

    @classmethod
    def none(cls, orders: int) -> "Shares":
        return cls(
            np.zeros(orders, np.int64),
            np.zeros(orders, np.int64),
            np.zeros((orders, len(NO_CHARGES)), np.int64),
            np.zeros(orders, np.uint8),
        )

    def has(self, flag: int) -> npt.NDArray[np.bool_]:
        """Rows that carry ``flag``."""
        carried: npt.NDArray[np.bool_] = (self.flags & flag) != 0
        return carried

    def flagged(self, rows: Sequence[int] | npt.NDArray[np.intp], flag: int) -> "Shares":
        """With ``flag`` set on ``rows``."""
        flags = self.flags.copy()
        flags[np.asarray(rows, dtype=np.intp)] |= flag
        return replace(self, flags=flags)


def wanted_now(statement: Statement, shares: Shares) -> Lots:
    """Lots each order still stands for: its demand, or for a frozen or ended one what it has."""
    return np.where(shares.has(FROZEN | TOLD), shares.allocated, statement.wanted)


def share_out(statement: Statement, shares: Shares, filled: int) -> tuple[Lots, int]:
    """Lots of each row once ``filled`` are, and how many no order wants (suspense).

    Clients come first, then the house, then those who asked to cancel: what the broker filled before it could be cut
    is still theirs, unless they were told their order had ended.
    """
    frozen, told = shares.has(FROZEN), shares.has(TOLD)
    lots = shares.allocated.copy()
    left = filled - int(lots.sum())
    if left < 0:
        return take_back(statement.wanted, lots, max(filled, 0)), 0
    active = ~frozen & ~told
    for tier in (active & ~statement.house, active & statement.house, frozen & ~told):
        rows = np.flatnonzero(tier)
        if left == 0 or len(rows) == 0:
            continue
        wanted, has = statement.wanted[rows], lots[rows]
        now = min(left, int(wanted.sum()) - int(has.sum()))
        owed = [statement.credits[row] for row in rows.tolist()] if statement.credits is not None else None
        lots[rows] = allocate_array(wanted, has, int(has.sum()) + now, owed)
        left -= now
    return lots, left
