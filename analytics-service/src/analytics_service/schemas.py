"""HTTP bodies: what comes in, and the shapes that go out."""

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from saras_common.events import Side
from saras_common.schemas import Answer, InstrumentName, Quantity, Rupees, Strict, Text

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_INSTANT = re.compile(r"[0-9]{4}(-[0-9]{2}){2}[Tt][0-9]{2}(:[0-9]{2}){2}(\.[0-9]{1,6})?([Zz]|[+-][0-9]{2}:[0-9]{2})")
MOST_AT_ONCE = 1000
EARLIEST, LATEST = date(1990, 1, 1), date(2100, 1, 1)
"""Days anybody may name: a series has a row for each, and two thousand years of them cost everybody."""


def _day(value: Any) -> date:
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        raise ValueError("must be a date, YYYY-MM-DD")
    day = date.fromisoformat(value)
    if not EARLIEST <= day <= LATEST:
        raise ValueError("is out of range")
    return day


def _instant(value: Any) -> datetime:
    if not isinstance(value, str) or not _INSTANT.fullmatch(value):
        raise ValueError("must be an RFC 3339 time with a time zone")
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except OverflowError as error:
        raise ValueError("out of range") from error


def _ratio(value: Any) -> Decimal:
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,12})?", value):
        raise ValueError("must be a decimal string")
    return Decimal(value)


Day = Annotated[date, BeforeValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]
Instant = Annotated[datetime, BeforeValidator(_instant), WithJsonSchema({"type": "string", "format": "date-time"})]
Ratio = Annotated[
    Decimal, BeforeValidator(_ratio), Field(gt=0), WithJsonSchema({"type": "string", "examples": ["2", "1.5"]})
]


class CorporateActionIn(Strict):
    """A split or bonus: from ``ex_day`` on one old share is ``ratio`` new ones ("2" for a 1:1 bonus).

    ``kind`` matters for tax: a split divides the cost of what was bought, a bonus adds shares that cost nothing.
    """

    instrument: InstrumentName
    ex_day: Day
    ratio: Ratio
    kind: Literal["split", "bonus"] = "split"


class CorporateActionsIn(Strict):
    """Body of the import of corporate actions."""

    actions: list[CorporateActionIn] = Field(min_length=1, max_length=MOST_AT_ONCE)


class FactsIn(Strict):
    """What a broker's list does not say of an instrument."""

    instrument: InstrumentName
    sector: Text
    shares_issued: Annotated[int, Field(gt=0, lt=2**53)] | None = None


class ManyFactsIn(Strict):
    """Body of the import of facts."""

    facts: list[FactsIn] = Field(min_length=1, max_length=MOST_AT_ONCE)


class CloseIn(Strict):
    """Body of a close by hand. Another day than today's is for the sandbox alone."""

    day: Day | None = None


class CorrectionsIn(Strict):
    """What was wrong in a rejected trade."""

    instrument: InstrumentName | None = None
    side: Side | None = None
    quantity: Quantity | None = None
    price: Rupees | None = None
    traded_at: Instant | None = None


class ReportIn(Strict):
    """Body of ``POST /reports``."""

    name: Annotated[str, Field(max_length=64)]
    date: Day | None = None
    all_users: bool = False


class FigureOut(Answer, extra="allow"):
    """A figure (a ``ratio`` of 0.05 is 5 %), or ``null`` with the reason; drawdowns and extremes have their dates."""

    label: str
    unit: Literal["ratio", "number"]
    value: float | None
    reason: str | None
    convention: str


class ShareOut(Answer):
    """Worth in one group, and its part of the whole."""

    group: str
    value: str
    weight: float | None


class ExposureOut(Answer):
    """How what is held is spread."""

    sectors: list[ShareOut]
    asset_classes: list[ShareOut]


class ContributionOut(Answer):
    """What an instrument, or charges, brought since the beginning."""

    name: str
    profit: str


class TradedOut(Answer):
    """A running position, or the total of them."""

    realised_pnl: str
    realised_pnl_fifo: str
    unrealised_pnl: str | None
    charges: str
    bought: int
    bought_value: str
    sold: int
    sold_value: str
    volume: int
    trades: int
    average_size: str | None


class PositionOut(TradedOut):
    """A running position, derived from the trade store."""

    instrument: str
    product: str
    source: str
    sector: str | None
    side: Literal["long", "short", "flat"]
    quantity: int
    cost: str
    average_price: str | None
    fifo_cost: str
    last_price: str | None


class AnalyticsOut(Answer):
    """What a user has, as the book says, and how it did. ``unpriced`` names what makes a total ``null``."""

    user_id: str
    as_of: datetime
    cash: str
    market_value: str | None
    total_value: str | None
    reason: str | None
    unpriced: list[str]
    invested: str
    realised_pnl: str
    unrealised_pnl: str | None
    charges: str
    deposited: str
    withdrawn: str
    net_invested: str
    profit: str | None
    last_close: date | None
    benchmark: str
    figures: dict[str, FigureOut]
    exposure: ExposureOut
    contribution: list[ContributionOut]
    positions: list[PositionOut]
    traded: TradedOut
    elsewhere: list[PositionOut]


class PointOut(Answer):
    """A close; ``value`` is ``null`` where nothing was valued."""

    day: date
    value: str | None
    deposits: str
    withdrawals: str


class EffectsOut(Answer):
    """Brinson-Fachler effects of one group, ratios."""

    group: str
    allocation: float
    selection: float
    interaction: float


class AttributionOut(Answer):
    """Effects by sector and by asset class, or none with the reason."""

    sectors: list[EffectsOut]
    asset_classes: list[EffectsOut]
    reason: str | None
    convention: str


class HoldingContributionOut(Answer):
    """Profit of one holding in a period, and its part of the time-weighted return."""

    name: str
    profit: str
    ratio: float | None


class ContributionsOut(Answer):
    """Profit by holding, charges apart, or none with the reason."""

    items: list[HoldingContributionOut]
    reason: str | None
    convention: str


class PerformanceOut(Answer):
    """How a user did over a period. ``is_live``: the last day is today as it stands."""

    user_id: str
    first_on: date | None
    last_on: date | None
    is_live: bool
    benchmark: str
    figures: dict[str, FigureOut]
    contribution: ContributionsOut
    attribution: AttributionOut
    history: list[PointOut]


class BarOut(Answer):
    """A period of an instrument; prices are ``null`` where a session has none."""

    day: date
    open: str | None
    high: str | None
    low: str | None
    close: str | None
    volume: int | None


class HistoryOut(Answer):
    """An instrument over time. ``gaps`` counts the sessions without prices."""

    instrument: str
    interval: str
    adjusted: bool
    gaps: int
    items: list[BarOut]


class ReportOut(Answer):
    """A report asked for; ``progress`` in percent. Its file is at ``/reports/runs/{id}/content`` when it is done."""

    id: str
    name: str
    date: date
    all_users: bool
    status: Literal["queued", "running", "done", "failed"]
    progress: int
    reason: str | None
    created_at: datetime
    finished_at: datetime | None
    filename: str | None


class ReportsOut(Answer):
    """What can be had, and what was asked for."""

    available: list[str]
    items: list[ReportOut]
    next_cursor: str | None


class RejectedOut(Answer):
    """A trade that did not pass."""

    id: str
    user_id: str
    trade: dict[str, Any]
    reason: str
    detail: str
    status: str
    rejected_at: datetime
    corrections: dict[str, Any] | None
    replayed_at: datetime | None


class CloseOut(Answer):
    """A session's snapshot."""

    day: date
    taken_at: datetime
    users: int


class ImportedOut(Answer):
    """What an import brought."""

    days: int
    instruments: int
    first_on: date | None
    last_on: date | None


class CountOut(Answer):
    """How many were done."""

    count: int


class UserFiguresOut(Answer):
    """Figures of a user at its last close; their conventions are those of ``GET /analytics``."""

    user_id: str
    day: date
    figures: dict[str, dict[str, Any]]
