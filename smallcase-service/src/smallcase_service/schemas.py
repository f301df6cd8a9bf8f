"""HTTP bodies: what comes in, and the shapes that go out."""

import re
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema, model_validator

from saras_common.schemas import Answer, InstrumentName, Rupees, Strict, Text
from smallcase_service.domain.proposals import DEFAULT_DRIFT_BAND, Proposal, ProposedConstituent, Weighting
from smallcase_service.domain.runs import Kind, State
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


Money = Annotated[str, Field(pattern=r"^-?[0-9]+\.[0-9]{2}$", examples=["1523.40"])]
FractionOut = Annotated[str, Field(pattern=r"^-?[0-9]+\.[0-9]{4}([0-9]{2})?$", examples=["0.2500"])]
RateOut = Annotated[str, Field(pattern=r"^-?[0-9]+\.[0-9]{6}$", examples=["0.123400"])]
Correlation = dict[str, dict[str, RateOut | None]]


class ConstituentOut(Answer):
    """One share of a smallcase; ``minimum_quantity`` of it are in the smallest basket."""

    instrument: str
    weight: FractionOut
    floor: FractionOut | None
    cap: FractionOut | None
    sector: str | None
    last_price: Money | None
    minimum_quantity: int | None


class RebalanceOut(Answer):
    """When a rebalance is offered."""

    frequency: Frequency | None
    drift_band: FractionOut | None
    band_kind: Literal["absolute", "relative"]
    cooldown_days: int


class IssueOut(Answer):
    """One thing that is wrong; an ``error`` stops trading."""

    code: str
    instrument: str | None
    message: str
    severity: Literal["error", "warning"]


class ValidationOut(Answer):
    """Whether a basket can be traded now."""

    valid: bool
    issues: list[IssueOut]


class StatisticsOut(Answer):
    """How figures were made, and from which sessions."""

    method: str
    window_sessions: int
    least_sessions: int
    sessions: int
    since: date | None
    until: date | None


class SmallcaseOut(Answer):
    """A smallcase. A figure that cannot be computed is ``null`` and ``reasons`` says why."""

    id: str
    owner_id: str
    name: str
    description: str | None
    visibility: Literal["private", "public"]
    weighting: Weighting
    version: int
    constituents: list[ConstituentOut]
    rebalance: RebalanceOut
    min_investment: Money | None
    index_value: str | None
    expected_return: RateOut | None
    volatility: RateOut | None
    max_drawdown: RateOut | None
    correlation: Correlation | None
    reasons: dict[str, str]
    reason: str | None
    statistics: StatisticsOut
    validation: ValidationOut
    created_at: datetime
    updated_at: datetime


class WeightOut(Answer):
    """A share and its weight."""

    instrument: str
    weight: FractionOut


class VersionOut(Answer):
    """A composition, and what changed to it from the one before."""

    version: int
    weighting: Weighting
    constituents: list[WeightOut]
    rebalance: RebalanceOut
    diff: dict[str, Any]
    index_value: str | None
    created_at: datetime


class PointOut(Answer):
    """The index at a close."""

    date: date
    value: str


class PerformanceOut(Answer):
    """The index since inception, 100 at its start, chained over versions."""

    smallcase_id: str
    base: str
    index: list[PointOut]
    index_value: str | None
    total_return: RateOut | None
    reason: str | None
    expected_return: RateOut | None
    volatility: RateOut | None
    max_drawdown: RateOut | None
    correlation: Correlation | None
    statistics: StatisticsOut
    figures_reason: str | None


class TradesOut(Answer):
    """What orders should come to on the last prices."""

    buy_value: Money
    sell_value: Money
    charges: Money
    unspent: Money


class StartedOut(Answer):
    """A run that was started: the book's orders, and what the plan leaves of the amount on the last prices."""

    basket_id: str
    run_id: str
    kind: Kind
    status: State
    orders: list[dict[str, Any]]
    unspent: Money
    expected: TradesOut


class LegOut(Answer):
    """One order of a run, planned or placed."""

    order_id: str | None
    round: int
    instrument: str
    side: Literal["BUY", "SELL"]
    quantity: int
    status: str
    status_reason: str | None
    filled_quantity: int
    value: Money
    charges: Money


class RunOut(Answer):
    """A run as it stands."""

    run_id: str
    basket_id: str
    smallcase_id: str
    kind: Kind
    status: State
    reason: str | None
    version: int
    spent: Money
    received: Money
    unspent: Money
    legs: list[LegOut]
    created_at: datetime
    ended_at: datetime | None


class PreviewLegOut(Answer):
    """An order a run would place, at the last price."""

    instrument: str
    side: Literal["BUY", "SELL"]
    quantity: int
    price: Money
    value: Money


class PreviewOut(Answer):
    """Exactly what would be sold and bought, and what it costs; buys after sells depend on what the sells bring."""

    action: str
    version: int
    legs: list[PreviewLegOut]
    expected: TradesOut


class InvestmentHoldingOut(Answer):
    """Shares in a basket beside their target weight."""

    instrument: str
    quantity: int
    last_price: Money | None
    value: Money | None
    weight: FractionOut | None
    target_weight: FractionOut


class RunBriefOut(Answer):
    """The basket's latest run."""

    run_id: str
    kind: Kind
    status: State


class MissingOut(Answer):
    """Shares a run did not get or get rid of."""

    instrument: str
    side: Literal["BUY", "SELL"]
    quantity: int


class RepairOut(Answer):
    """What a repair would try again, and what it may spend."""

    leftover: Money
    missing: list[MissingOut]


class OfferOut(Answer):
    """A rebalance waiting for consent."""

    cause: Literal["version", "drift", "calendar"]
    version: int
    drift: FractionOut
    offered_at: datetime


class InvestmentOut(Answer):
    """A user's basket of a smallcase."""

    id: str
    basket_id: str
    smallcase_id: str
    name: str
    version: int
    latest_version: int
    holdings: list[InvestmentHoldingOut]
    drift: FractionOut | None
    invested: Money
    value: Money | None
    pnl: Money | None
    xirr: RateOut | None
    reason: str | None
    run: RunBriefOut | None
    repair: RepairOut | None
    auto_repair_budget: FractionOut | None
    rebalance_offer: OfferOut | None
    created_at: datetime


class InstalmentOut(Answer):
    """What became of an instalment."""

    due_on: date
    status: Literal["invested", "skipped"]
    run_id: str | None
    reason: str | None


class SipOut(Answer):
    """A regular investment; ``next_on`` is the session of the next instalment."""

    id: str
    smallcase_id: str
    amount: Money
    frequency: Frequency
    start_on: date
    next_on: date | None
    status: Literal["active", "ended"]
    instalments: list[InstalmentOut]
    created_at: datetime


class WhatIfOut(Answer):
    """What a version would set off over all subscribers; times at ten broker orders a second."""

    diff: dict[str, Any]
    constituents: list[WeightOut]
    min_investment: Money | None
    validation: ValidationOut
    subscribers: int
    subscribers_traded: int
    subscribers_below_minimum: int
    orders: int
    sell_value: Money
    buy_value: Money
    turnover: FractionOut | None
    charges: Money
    broker_orders: int
    seconds: str
    seconds_one_by_one: str


class SuggestionOut(Answer):
    """A proposed basket and why."""

    method: str
    constituents: list[WeightOut]
    min_investment: Money
    expected_return: RateOut | None
    volatility: RateOut | None
    max_drawdown: RateOut | None
    reason: str | None
    why: list[str]


class SuggestionsOut(Answer):
    """Proposals from the past of ``universe`` shares; ``caution`` when that past is short."""

    sessions: int
    universe: int
    caution: str | None
    items: list[SuggestionOut]
