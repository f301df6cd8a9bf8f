"""What a manager proposes: the parts of a smallcase, before weights are worked out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from smallcase_service.domain.schedule import Frequency

Weighting = Literal["custom", "equal", "market_cap", "inverse_volatility"]

DEFAULT_DRIFT_BAND = 50_000
"""Five points, in parts of a million."""


@dataclass(frozen=True, slots=True)
class ProposedConstituent:
    """One share; ``weight`` for custom weighting, bounds in parts of a million."""

    instrument: str
    weight: Decimal | None = None
    floor: int | None = None
    cap: int | None = None


@dataclass(frozen=True, slots=True)
class Proposal:
    """A smallcase as its manager writes it."""

    name: str
    description: str | None
    visibility: Literal["private", "public"]
    weighting: Weighting
    constituents: Sequence[ProposedConstituent]
    frequency: Frequency | None = None
    drift_band: int | None = None
    band_is_relative: bool = False
    cooldown_days: int | None = None

    @property
    def names(self) -> list[str]:
        """Instruments in the manager's order."""
        return [one.instrument for one in self.constituents]


def difference(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, Any]:
    """What changed between two compositions (parts of a million by instrument), as fractions of 1."""
    return {
        "added": {name: fraction(after[name]) for name in after if name not in before},
        "removed": {name: fraction(before[name]) for name in before if name not in after},
        "changed": {
            name: {"from": fraction(before[name]), "to": fraction(after[name])}
            for name in after
            if name in before and before[name] != after[name]
        },
    }


def fraction(parts: int) -> str:
    """Parts of a million as a decimal fraction, four places or as many as are needed."""
    sign = "-" if parts < 0 else ""
    whole, part = divmod(abs(parts), 1_000_000)
    return f"{sign}{whole}.{part:06d}".removesuffix("00")
