"""Cost and realised profit two ways, side by side: average cost (what a broker's screen shows) and FIFO lots (for tax).

Quantities are signed, so a fill that flips the side closes at the old average and opens at its own price; the book
itself holds no short positions yet. Costs are paise, and each share of a cost is rounded so that what was paid is
always exactly remaining cost plus what was realised against it. With `exact_share` the same rules run on rationals.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import NamedTuple

from saras_common.money import round_half_up

Amount = int | Fraction
Share = Callable[[Amount, int, int], Amount]


def paise_share(amount: Amount, part: int, whole: int) -> Amount:
    """``amount * part / whole`` to the paisa; all of it when ``part`` is the whole."""
    return round_half_up(int(amount) * part, whole)


def exact_share(amount: Amount, part: int, whole: int) -> Amount:
    """``amount * part / whole`` as a rational."""
    return Fraction(amount) * part / whole


@dataclass(slots=True)
class Average:
    """Average cost. ``cost`` has the sign of ``quantity``: paid for a long position, received for a short one."""

    quantity: int = 0
    cost: Amount = 0
    realised: Amount = 0

    def fill(self, quantity: int, value: Amount, share: Share = paise_share) -> None:
        """Trade ``quantity`` (> 0 bought, < 0 sold) for ``value`` ≥ 0 in all."""
        sign = 1 if quantity > 0 else -1
        if self.quantity * sign < 0:
            closing = min(abs(quantity), abs(self.quantity))
            closing_value = share(value, closing, abs(quantity))
            closed_cost = share(self.cost, closing, abs(self.quantity))
            self.realised += -sign * closing_value - closed_cost
            self.cost -= closed_cost
            self.quantity += sign * closing
            quantity, value = quantity - sign * closing, value - closing_value
        if quantity:
            self.quantity += quantity
            self.cost += sign * value

    def correct(self, value: Amount, bought: int, share: Share = paise_share) -> None:
        """A purchase of ``bought`` units turned out to cost ``value`` more (or less).

        What is no longer held has been realised at the wrong cost, so that part goes to the realised profit.
        """
        held = min(max(self.quantity, 0), bought)
        remaining = share(value, held, bought) if bought else 0
        self.cost += remaining
        self.realised -= value - remaining

    def profit(self, last: Amount, multiplier: int = 1) -> Amount:
        """Realised and unrealised at ``last`` a unit: (sell value - buy value) + net quantity * last * multiplier."""
        return self.realised + self.quantity * last * multiplier - self.cost


@dataclass(slots=True)
class Lot:
    """What one order brought in. ``cost`` is of ``remaining``; both signed like `Average`."""

    id: str
    opened_at: datetime
    quantity: int = 0
    remaining: int = 0
    cost: Amount = 0

    def add(self, quantity: int, value: Amount) -> None:
        """More of the same order: ``value`` ≥ 0."""
        self.quantity += quantity
        self.remaining += quantity
        self.cost += value if quantity > 0 else -value

    def close(self, quantity: int, value: Amount, share: Share = paise_share) -> Amount:
        """Close ``quantity`` > 0 units against a trade worth ``value``; the realised profit."""
        sign = 1 if self.remaining > 0 else -1
        closed = share(self.cost, quantity, abs(self.remaining))
        self.cost -= closed
        self.remaining -= sign * quantity
        return sign * value - closed

    def correct(self, value: Amount, share: Share = paise_share) -> Amount:
        """The order turned out to cost ``value`` more; the change of realised profit for units sold before."""
        remaining = share(value, self.remaining, self.quantity) if self.quantity else 0
        self.cost += remaining
        return remaining - value


class Closing(NamedTuple):
    """What closing against lots did: units no lot was left for, realised profit, the lots it touched."""

    left: int
    realised: Amount
    touched: list[Lot]


def close_first(lots: Iterable[Lot], quantity: int, value: Amount, share: Share = paise_share) -> Closing:
    """Close ``quantity`` > 0 units worth ``value`` ≥ 0 in all, first lot first."""
    realised: Amount = 0
    touched = []
    for lot in lots:
        if quantity == 0:
            break
        part = min(quantity, abs(lot.remaining))
        if part:
            part_value = share(value, part, quantity)
            realised += lot.close(part, part_value, share)
            touched.append(lot)
            quantity, value = quantity - part, value - part_value
    return Closing(quantity, realised, touched)
