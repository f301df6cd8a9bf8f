"""Runs: what is done to one investor's basket, step by step. A state's successors are the one table below."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Why a run trades."""

    INVEST = "invest"
    ADD = "add"
    EXIT = "exit"
    REBALANCE = "rebalance"
    REPAIR = "repair"
    SIP = "sip"

    @property
    def is_topped_up(self) -> bool:
        """Buys towards the target weights, and so goes on with what its first buys left."""
        return self not in {Kind.EXIT, Kind.REPAIR}


class State(StrEnum):
    """Where a run is."""

    QUEUED = "QUEUED"
    SELLING = "SELLING"
    BUYING = "BUYING"
    COMPLETED = "COMPLETED"
    COMPLETED_ADJUSTED = "COMPLETED_ADJUSTED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def is_over(self) -> bool:
        """Nothing follows this state."""
        return not TRANSITIONS[self]


_ENDS = frozenset({State.COMPLETED, State.COMPLETED_ADJUSTED, State.FAILED, State.CANCELLED})

TRANSITIONS: dict[State, frozenset[State]] = {
    State.QUEUED: frozenset({State.SELLING, State.BUYING}) | _ENDS,
    State.SELLING: frozenset({State.BUYING}) | _ENDS,
    State.BUYING: frozenset({State.BUYING}) | _ENDS,
    State.COMPLETED: frozenset(),
    State.COMPLETED_ADJUSTED: frozenset(),
    State.FAILED: frozenset(),
    State.CANCELLED: frozenset(),
}

ACTIVE: tuple[State, ...] = tuple(state for state, after in TRANSITIONS.items() if after)
"""States of a run that is not over; a basket has at most one such run."""

SELL_ROUND = 0
"""Round of a run's sells; its buys are rounds 1 and on."""

TOP_UP_ROUND = 2
"""Buys are sized at worst prices, so some of the cash is left: a second round spends that."""

CLOSING_ROUND = 3
"""Whole shares that are missing still, and paid for at their last prices alone, are bought at these or not at all."""

ENDED = frozenset({"FILLED", "CANCELLED", "REJECTED", "EXPIRED"})
"""Order states after which nothing more fills."""


def moved(before: State, after: State) -> State:
    """``after``, if it may follow ``before``; `ValueError` names the step otherwise."""
    if after not in TRANSITIONS[before]:
        raise ValueError(f"a run cannot go from {before} to {after}")
    return after


@dataclass(frozen=True, slots=True)
class Leg:
    """One order of a run. ``order_id`` and ``status`` are the book's, once it has taken it.

    With ``limit_paise`` it is filled at that price or better, at once or not at all.
    """

    round: int
    instrument: str
    side: str
    quantity: int
    order_id: str | None = None
    status: str = "PLANNED"
    status_reason: str | None = None
    filled_quantity: int = 0
    filled_paise: int = 0
    charges_paise: int = 0
    limit_paise: int | None = None

    @property
    def is_over(self) -> bool:
        """Nothing more fills."""
        return self.status in ENDED

    @property
    def missing(self) -> int:
        """Shares that did not fill."""
        return self.quantity - self.filled_quantity


@dataclass(frozen=True, slots=True)
class Money:
    """A run's cash so far, paise, charges included."""

    spent_paise: int
    received_paise: int

    @classmethod
    def of(cls, legs: list[Leg]) -> "Money":
        """What the legs' fills came to."""
        return cls(
            sum(leg.filled_paise + leg.charges_paise for leg in legs if leg.side == "BUY"),
            sum(leg.filled_paise - leg.charges_paise for leg in legs if leg.side == "SELL"),
        )


def ending(legs: list[Leg], *, was_adjusted: bool) -> tuple[State, str | None]:
    """How a run whose legs are all over ends, and why if not as planned."""
    if not legs:
        return State.COMPLETED, None
    if not any(leg.filled_quantity for leg in legs):
        was_cancelled = all(leg.status == "CANCELLED" for leg in legs)
        return (State.CANCELLED, "every order was cancelled") if was_cancelled else (State.FAILED, "nothing was filled")
    short = [leg.instrument for leg in legs if leg.missing]
    if short:
        return State.COMPLETED_ADJUSTED, "not all was filled: " + ", ".join(sorted(set(short))[:10])
    if was_adjusted:
        return State.COMPLETED_ADJUSTED, "small orders were left out or shares were no longer there"
    return State.COMPLETED, None


def was_cut_short(kind: Kind, legs: list[Leg]) -> bool:
    """Whether a run that ends with these legs, asked to, has left anything undone but its top-up."""
    waits_to_buy = kind in {Kind.REBALANCE, Kind.REPAIR} and all(leg.side == "SELL" for leg in legs)
    return waits_to_buy or any(leg.missing for leg in legs)


def unfilled(legs: list[Leg]) -> dict[str, tuple[str, int]]:
    """Instrument → (side, shares) of the legs that did not fill; later rounds of one instrument add up."""
    missing: dict[str, tuple[str, int]] = {}
    for leg in legs:
        if leg.missing:
            known = missing.get(leg.instrument, (leg.side, 0))
            missing[leg.instrument] = (leg.side, known[1] + leg.missing)
    return missing
