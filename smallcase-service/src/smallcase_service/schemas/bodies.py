"""What comes in."""

import re
from datetime import date
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema, model_validator

from saras_common.schemas import InstrumentName, Rupees, Strict, Text
from smallcase_service.domain.proposals import DEFAULT_DRIFT_BAND, Proposal, ProposedConstituent, Weighting
from smallcase_service.domain.schedule import Frequency
from smallcase_service.domain.weights import MAX_CONSTITUENTS, MIN_CONSTITUENTS, UNIT

MAX_DIGITS = 12


def _decimal(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError("must be a decimal string or a number")  # noqa: TRY004 - pydantic reports ValueError
    if isinstance(value, str) and not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,12})?", value):
        raise ValueError("must be a decimal number")
    try:
        number = Decimal(value)
    except InvalidOperation as error:
        raise ValueError("must be a decimal number") from error
    if not number.is_finite() or len(number.as_tuple().digits) > MAX_DIGITS or number.adjusted() > MAX_DIGITS:
        raise ValueError("has too many digits")
    return number


def _parts(value: Any) -> int:
    parts = _decimal(value) * UNIT
    if parts != int(parts):
        raise ValueError("has more than six decimal places")
    return int(parts)


def _date(value: Any) -> date:
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        raise ValueError("must be a date, YYYY-MM-DD")
    return date.fromisoformat(value)


_DECIMAL_IN = {"anyOf": [{"type": "string", "pattern": r"^\d+(\.\d+)?$"}, {"type": "number"}]}

Weight = Annotated[Decimal, BeforeValidator(_decimal), Field(gt=0, le=100), WithJsonSchema(_DECIMAL_IN)]
"""A custom weight: all of them fractions that sum to 1, or all percents that sum to 100."""

Parts = Annotated[int, BeforeValidator(_parts), Field(ge=0, le=UNIT), WithJsonSchema(_DECIMAL_IN)]
"""A fraction of 1 with at most six places; the model holds parts of a million."""

Portion = Annotated[Decimal, BeforeValidator(_decimal), Field(gt=0, le=1), WithJsonSchema(_DECIMAL_IN)]
"""How much of a basket: above 0, at most 1."""

Day = Annotated[date, BeforeValidator(_date), WithJsonSchema({"type": "string", "format": "date"})]
Chosen = Annotated[Frequency, Field(strict=False)]
Description = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=2000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")
]


class ConstituentIn(Strict):
    """One share; ``weight`` for custom weighting, ``floor`` and ``cap`` bound it."""

    instrument: InstrumentName
    weight: Weight | None = None
    floor: Parts | None = None
    cap: Parts | None = None


class RebalanceIn(Strict):
    """When a rebalance is offered: on a calendar, or when a weight is further from its target than the band."""

    frequency: Chosen | None = None
    drift_band: Parts | None = None
    band_kind: Literal["absolute", "relative"] = "absolute"
    cooldown_days: Annotated[int, Field(ge=0, le=365)] | None = None


class SmallcaseIn(Strict):
    """Body of ``POST /smallcase`` and ``PUT /smallcase/{id}``."""

    name: Text
    description: Description | None = None
    visibility: Literal["private", "public"] = "private"
    weighting: Weighting
    constituents: Annotated[list[ConstituentIn], Field(min_length=MIN_CONSTITUENTS, max_length=MAX_CONSTITUENTS)]
    rebalance: RebalanceIn = RebalanceIn()

    @model_validator(mode="after")
    def _check(self) -> "SmallcaseIn":
        for one in self.constituents:
            if one.floor is not None and one.cap is not None and one.floor > one.cap:
                raise ValueError("a floor is above its cap")
            if one.weight is not None and self.weighting != "custom":
                raise ValueError("only custom weighting takes weights")
        return self

    def proposal(self) -> Proposal:
        """What the manager proposes."""
        band = self.rebalance.drift_band
        return Proposal(
            self.name,
            self.description,
            self.visibility,
            self.weighting,
            [ProposedConstituent(one.instrument, one.weight, one.floor, one.cap) for one in self.constituents],
            self.rebalance.frequency,
            DEFAULT_DRIFT_BAND if band is None and self.rebalance.frequency is None else band,
            self.rebalance.band_kind == "relative",
            self.rebalance.cooldown_days,
        )


class InvestIn(Strict):
    """Body of ``POST /smallcase/{id}/invest``."""

    amount: Rupees


class ExitIn(Strict):
    """Body of ``POST /smallcase/{id}/exit``: all of it unless told."""

    fraction: Portion = Decimal(1)

    def part(self) -> Fraction:
        """The fraction, exactly."""
        return Fraction(self.fraction)


class RebalanceRunIn(Strict):
    """Body of ``POST /smallcase/{id}/rebalance``; ``full`` leaves out no small order."""

    full: bool = False


class RepairIn(Strict):
    """Body of ``POST /smallcase/{id}/repair``."""


class PreviewIn(Strict):
    """Body of ``POST /smallcase/{id}/preview``: what a run would do."""

    action: Literal["invest", "exit", "rebalance", "repair"]
    amount: Rupees | None = None
    fraction: Portion = Decimal(1)
    full: bool = False

    @model_validator(mode="after")
    def _check(self) -> "PreviewIn":
        if (self.action == "invest") != (self.amount is not None):
            raise ValueError("an amount is given to invest, and only then")
        return self


class SipIn(Strict):
    """Body of ``POST /smallcase/{id}/sip``."""

    amount: Rupees
    frequency: Chosen
    start_on: Day


class InvestmentChange(Strict):
    """Body of ``PATCH /investments/{id}``: the tracking error up to which a basket repairs itself; ``null`` never."""

    auto_repair_budget: Parts | None


class SuggestionIn(Strict):
    """Body of ``POST /smallcases/suggestions``."""

    amount: Rupees
    risk: Literal["low", "medium", "high"]
    exclude: Annotated[list[InstrumentName], Field(max_length=200)] = Field(default_factory=list)
    exclude_sectors: Annotated[list[Text], Field(max_length=50)] = Field(default_factory=list)
