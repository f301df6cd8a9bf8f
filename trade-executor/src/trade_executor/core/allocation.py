"""Who gets the lots: incremental pro-rata allocation of a block's fills, in whole lots and exact integers.

Each user's deficit against the exact share is ``e = F·d − a·D`` (F filled, d demanded, a posted, D = Σd). First every
whole lot owed is given, then one lot each by the largest deficit plus credit. A lot once posted stays.

Largest deficit alone can give lots away too early: two users may then come to be owed a whole lot at the same fill, and
one of them falls a full lot behind. So `_choose` looks ahead: every lot has a last fill by which it must be given, and
the state is safe while no stretch of fills to come holds more of these than fills. In the rare cases where the first in
line would break that, who can wait is passed over for who cannot. Thus ``|a − F·d/D| < 1`` always holds.

`allocate` is the plain form to read and to test against; `allocate_array` the quick one. Both give the same lots.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from typing import Any

import numpy as np
import numpy.typing as npt

Lots = npt.NDArray[np.int64]

_SAFE = 2**62
"""Products up to here fit 64 bits with room for one addition."""

_LOOK_AHEAD = 1
"""Fills looked ahead at, for each user of the block."""

_LOOK_AHEAD_LEAST = 1024
"""Small blocks are looked through to their end."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One order's place in a block: what it wants, what it has, and what earlier blocks owe it (in lots)."""

    id: Any
    quantity: int
    arrival: int
    allocated: int = 0
    credit: Fraction = Fraction(0)


def canonical(claim: Claim) -> tuple[int, int, Any]:
    """Sort key that breaks every tie: larger demand, earlier arrival, smaller id."""
    return (-claim.quantity, claim.arrival, claim.id)


def allocate(claims: Sequence[Claim], filled: int) -> dict[Any, int]:
    """Lots of each claim once ``filled`` lots of the block are; the claims may come in any order.

    ``ValueError`` when ``filled`` is below what was posted or above what was asked.
    """
    rows = sorted(claims, key=canonical)
    wanted = [row.quantity for row in rows]
    lots = [row.allocated for row in rows]
    whole = sum(wanted)
    rest = _rest(filled, sum(lots), whole)
    if rest:
        rest = _floor_pass(wanted, lots, filled, rest)
        _remainder_pass(wanted, lots, filled, rest, [row.credit for row in rows])
    return {row.id: got for row, got in zip(rows, lots, strict=True)}


def _rest(filled: int, posted: int, whole: int) -> int:
    if not posted <= filled <= whole:
        raise ValueError(f"{filled} lots filled, {posted} posted, {whole} wanted")
    return filled - posted


def _floor_pass(wanted: Sequence[int], lots: list[int], filled: int, rest: int) -> int:
    """Give every whole lot owed; most owed first, should the lots not suffice (after a cancellation only)."""
    whole = sum(wanted)
    owed = [filled * want - got * whole for want, got in zip(wanted, lots, strict=True)]
    for index in sorted(range(len(lots)), key=lambda i: (-owed[i], i)):
        given = min(max(owed[index], 0) // whole, wanted[index] - lots[index], rest)
        lots[index] += given
        rest -= given
    return rest


def _remainder_pass(
    wanted: Sequence[int], lots: list[int], filled: int, rest: int, credits_: Sequence[Fraction]
) -> None:
    whole = sum(wanted)
    owed = [filled * want - got * whole for want, got in zip(wanted, lots, strict=True)]
    by_claim = sorted(range(len(lots)), key=lambda i: (-(owed[i] + credits_[i] * whole), i))
    owed_some = [i for i in by_claim if lots[i] < wanted[i] and owed[i] > 0]
    chosen = owed_some[:rest]
    if rest < len(owed_some):
        chosen = _choose(_objects(wanted), _objects(lots), filled, whole, np.array(owed_some), rest).tolist()
    for index in chosen:
        lots[index] += 1
    rest -= len(chosen)
    while rest:
        for index in [i for i in by_claim if lots[i] < wanted[i]][:rest]:
            lots[index] += 1
            rest -= 1


def _objects(numbers: Sequence[int]) -> npt.NDArray[Any]:
    return np.array(numbers, dtype=object)


def allocate_array(wanted: Lots, allocated: Lots, filled: int, credits_: Sequence[Fraction] | None = None) -> Lots:  # noqa: PLR0911 - each early answer is a case of its own
    """`allocate` over arrays whose rows already stand in `canonical` order; returns the new lots of each row.

    Exact at any size: figures past 64 bits take the plain form.
    """
    whole = int(wanted.sum())
    rest = _rest(filled, int(allocated.sum()), whole)
    if rest == 0:
        return allocated.copy()
    if filled == whole:
        return wanted.copy()
    if whole * (int(wanted.max()) + 1) >= _SAFE:
        return _plain(wanted, allocated, filled, credits_)
    owed = wanted * filled - allocated * whole
    given: Lots = np.maximum(owed, 0) // whole
    short = rest - int(given.sum())
    if short < 0:
        return _plain(wanted, allocated, filled, credits_)
    lots: Lots = allocated + given
    if short == 0:
        return lots
    owed -= given * whole
    candidates = np.flatnonzero((owed > 0) & (lots < wanted))
    if len(candidates) <= short:
        if len(candidates) < short:
            return _plain(wanted, allocated, filled, credits_)
        lots[candidates] += 1
        return lots
    ranked = candidates[_by_claim(owed[candidates], candidates, whole, credits_)]
    lots[_choose(wanted, lots, filled, whole, ranked, short)] += 1
    return lots


def _plain(wanted: Lots, allocated: Lots, filled: int, credits_: Sequence[Fraction] | None) -> Lots:
    rows = zip(wanted.tolist(), allocated.tolist(), credits_ or [Fraction(0)] * len(wanted), strict=True)
    claims = [Claim(i, want, i, got, credit) for i, (want, got, credit) in enumerate(rows)]
    lots = allocate(claims, filled)
    return np.array([lots[i] for i in range(len(wanted))], dtype=np.int64)


def _by_claim(owed: Lots, candidates: Lots, whole: int, credits_: Sequence[Fraction] | None) -> npt.NDArray[np.intp]:
    """Ranks of the candidates by deficit plus credit, largest first; the array's order breaks ties."""
    if credits_ is None:
        return np.argsort(-owed, kind="stable")
    mine = [credits_[i] for i in candidates.tolist()]
    if not any(mine):
        return np.argsort(-owed, kind="stable")
    scale = lcm(*(credit.denominator for credit in mine))
    keys = [
        -(due * scale + credit.numerator * (scale // credit.denominator) * whole)
        for due, credit in zip(owed.tolist(), mine, strict=True)
    ]
    return np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.intp)


def _choose(
    wanted: npt.NDArray[Any],
    lots: npt.NDArray[Any],
    filled: int,
    whole: int,
    ranked: npt.NDArray[np.intp],
    lots_left: int,
) -> npt.NDArray[np.intp]:
    """Rows of ``ranked`` that get one of ``lots_left``: the first ones, unless that would break the bound later.

    Then each in turn, if afterwards the lots left still suffice for whoever must have one; should even that be out of
    reach (after a cancellation changed the shares), the most urgent.
    """
    first = ranked[:lots_left]
    given = lots.copy()
    given[first] += 1
    if _overdue(wanted, given, filled, whole).max(initial=0) <= 0:
        return first
    late = _overdue(wanted, lots, filled, whole)
    due = (-(-(lots[ranked] + 1) * whole // wanted[ranked]) - filled).astype(np.int64)
    chosen: list[int] = []
    for position, fills in enumerate(due.tolist()):
        after = late.copy()
        after[max(fills - 1, 0) :] -= 1
        if after.max(initial=0) <= lots_left - len(chosen) - 1:
            chosen.append(position)
            late = after
            if len(chosen) == lots_left:
                return ranked[chosen]
    return ranked[np.argsort(due, kind="stable")[:lots_left]]


def _overdue(wanted: npt.NDArray[Any], lots: npt.NDArray[Any], filled: int, whole: int) -> npt.NDArray[np.int64]:
    """How many lots more than fills fall due within the next 1, 2, … fills; nothing above 0 means all is well.

    Row i's j-th lot must be given by fill ``ceil(j·D/d_i)``, or the row falls a whole lot behind. Looked at as far
    ahead as matters: to the end of a small block, over the next fills of a large one.
    """
    reach = min(whole - filled, max(_LOOK_AHEAD * len(wanted), _LOOK_AHEAD_LEAST))
    pending = (wanted * (filled + reach)) // whole - lots
    rows = np.flatnonzero(pending > 0)
    if len(rows) == 0:
        return np.zeros(0, np.int64)
    counts = pending[rows].astype(np.int64)
    ends = np.cumsum(counts)
    nth = np.arange(1, int(ends[-1]) + 1) - np.repeat(ends - counts, counts)
    repeated = np.repeat(rows, counts)
    fills = -(-(lots[repeated] + nth) * whole // wanted[repeated]) - filled
    falling = np.bincount(np.maximum(fills, 1).astype(np.int64), minlength=reach + 1)[1:]
    overdue: npt.NDArray[np.int64] = np.cumsum(falling) - np.arange(1, len(falling) + 1)
    return overdue


def take_back(wanted: Lots, allocated: Lots, filled: int) -> Lots:
    """Lots of each row after a bust left only ``filled``: one lot at a time from the most over-allocated.

    The one case in which a posted lot is taken back: the exchange itself annulled the trade.
    """
    whole = int(wanted.sum())
    lots = [int(got) for got in allocated]
    over = sum(lots) - filled
    if over < 0:
        raise ValueError("a bust cannot add lots")
    while over:
        excess = [got * whole - filled * int(want) if got else None for got, want in zip(lots, wanted, strict=True)]
        ranked = sorted(
            (i for i, value in enumerate(excess) if value is not None), key=lambda i: (-(excess[i] or 0), i)
        )
        for index in ranked:
            given_back = min(max((excess[index] or 0) // whole, 1), lots[index], over)
            lots[index] -= given_back
            over -= given_back
            if not over:
                break
    return np.array(lots, dtype=np.int64)


def next_credit(credit: Fraction, quantity: int, allocated: int, filled: int, whole: int) -> Fraction:
    """The credit carried from a block that ended with ``filled < whole``: what was missed, within one lot."""
    return max(Fraction(-1), min(Fraction(1), credit + Fraction(filled * quantity, whole) - allocated))
