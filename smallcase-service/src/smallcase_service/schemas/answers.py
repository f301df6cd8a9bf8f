"""What goes out."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from saras_common.schemas import Answer
from smallcase_service.domain.proposals import Weighting
from smallcase_service.domain.runs import Kind, State
from smallcase_service.domain.schedule import Frequency

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
    limit_price: Money | None


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
    cancel_requested_at: datetime | None
    ended_at: datetime | None


class PreviewLegOut(Answer):
    """An order a run would place, at the last price."""

    instrument: str
    side: Literal["BUY", "SELL"]
    quantity: int
    price: Money
    value: Money


class PreviewOut(Answer):
    """Exactly what would be sold and bought, and what it costs; buys after sells depend on what the sells bring.

    ``top_up``: bought afterwards with what ``legs`` leave, if prices stay. ``expected`` is of ``legs`` alone.
    """

    action: str
    version: int
    legs: list[PreviewLegOut]
    top_up: list[PreviewLegOut]
    expected: TradesOut
    expected_in_all: TradesOut


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
