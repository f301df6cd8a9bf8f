"""One price for everyone in a block, to the paisa: value and charges shared by largest remainder.

The block's price is the rational value / lots. New lots are posted at the running average; when the block ends a
true-up brings every order to its exact share of the final value and charges. What is not yet carried by an order is
suspense, so users + suspense = broker after every posting, and suspense is nought in money at the end.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from saras_common.money import split, split_array

Paise = npt.NDArray[np.int64]
ChargeRows = npt.NDArray[np.int64]
"""One row an order, one column a kind of charge."""


@dataclass(frozen=True, slots=True)
class Priced:
    """Value and charges of each order's part."""

    value_paise: Paise
    charges: ChargeRows


def price_new_lots(lots: npt.NDArray[np.int64], filled: int, value_paise: int, charges: Sequence[int]) -> Priced:
    """New lots (all ≥ 0, or for a bust all ≤ 0) at the running average ``value_paise / filled``.

    Sums are rounded down, so that the book is never asked for more than the broker took.
    """
    total = int(lots.sum())
    weights = np.abs(lots)
    share = abs(total)
    sign = -1 if total < 0 else 1
    values = split_array(sign * (value_paise * share // filled), weights)
    columns = [split_array(sign * (charge * share // filled), weights) for charge in charges]
    return Priced(values, np.stack(columns, axis=1))


def price_exactly(allocated: npt.NDArray[np.int64], filled: int, value_paise: int, charges: Sequence[int]) -> Priced:
    """Every order's exact share of the block's final value and charges.

    Lots beyond what all orders want (``filled > Σ allocated``) keep their part of both.
    """
    ours = int(allocated.sum())
    if ours == 0:
        return Priced(np.zeros(len(allocated), np.int64), np.zeros((len(allocated), len(charges)), np.int64))
    lots = [ours, filled - ours]
    values = split_array(split(value_paise, lots)[0], allocated)
    weights = values if int(values.sum()) else allocated
    columns = [split_array(split(charge, lots)[0], weights) for charge in charges]
    return Priced(values, np.stack(columns, axis=1))
