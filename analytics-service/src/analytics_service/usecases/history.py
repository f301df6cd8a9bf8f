"""Prices over time: imports, corporate actions, facts, and an instrument's history with its gaps."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache
from importlib.resources import files

from sqlalchemy.orm import Session

from analytics_service.domain.marks import adjustment, parse_history
from analytics_service.domain.tax import Action
from analytics_service.store import market
from saras_common.calendar import is_session_day
from saras_common.errors import InvalidInput, NotFound
from saras_common.events import (
    MAX_EVENTS_A_MESSAGE,
    CorporateAction,
    CorporateActionsRecorded,
    DayPrice,
    DayPricesRecorded,
    InstrumentFacts,
    InstrumentsDescribed,
)
from saras_common.outbox import Outbox


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import brought."""

    days: int
    instruments: int
    first_on: date | None
    last_on: date | None


@dataclass(frozen=True, slots=True)
class Bar:
    """A period of an instrument's history in paise, adjusted as asked; a period without prices has none."""

    day: date
    open: Decimal | None = None
    high: Decimal | None = None
    low: Decimal | None = None
    close: Decimal | None = None
    volume: int | None = None


@cache
def built_in_facts() -> dict[str, InstrumentFacts]:
    """Sectors the package ships, by instrument."""
    text = (files("analytics_service") / "data" / "facts.csv").read_text("utf-8")
    return {row["instrument"]: InstrumentFacts(**row) for row in csv.DictReader(text.splitlines())}


def describe_listed(session: Session, outbox: Outbox, names: Iterable[str], at: datetime) -> None:
    """Give newly listed instruments the facts we ship, unless they are known better."""
    known = built_in_facts()
    lacking = market.list_undescribed(session, [name for name in names if name in known])
    if lacking:
        record_facts(session, outbox, [known[name] for name in lacking], at)


def read_prices(content: bytes, *, instrument: str | None, exchange: str) -> list[DayPrice]:
    """A file's days, at least one; `InvalidInput` names the lines that cannot be read."""
    parsed = parse_history(content, instrument=instrument, exchange=exchange)
    if parsed.errors:
        raise InvalidInput(
            "The file was not taken in",
            errors=[{"field": f"line {line}", "message": message} for line, message in parsed.errors],
        )
    if not parsed.prices:
        raise InvalidInput(errors=[{"field": "body", "message": "no prices in it"}])
    return parsed.prices


def import_prices(session: Session, outbox: Outbox, prices: Sequence[DayPrice], at: datetime) -> Imported:
    """Store days in place of what was known of them, and tell of them."""
    market.put_day_prices(session, prices)
    for start in range(0, len(prices), MAX_EVENTS_A_MESSAGE):
        part = list(prices[start : start + MAX_EVENTS_A_MESSAGE])
        outbox.add(session, [DayPricesRecorded(at=at, prices=part)])
    days = [price.day for price in prices]
    names = {price.instrument for price in prices}
    return Imported(len(days), len(names), min(days), max(days))


def record_actions(session: Session, outbox: Outbox, actions: Sequence[Action], at: datetime) -> None:
    """Splits and bonuses, new or corrected."""
    market.put_actions(session, actions)
    told = [CorporateAction(instrument=one.instrument, ex_day=one.ex_day, ratio=f"{one.ratio:f}") for one in actions]
    outbox.add(session, [CorporateActionsRecorded(at=at, actions=told)])


def record_facts(session: Session, outbox: Outbox, facts: Sequence[InstrumentFacts], at: datetime) -> int:
    """Sectors and issued shares; tells of those that are new or changed, and how many they were."""
    changed = market.put_facts(session, facts)
    told = [fact for fact in facts if fact.instrument in changed]
    if told:
        outbox.add(session, [InstrumentsDescribed(at=at, facts=told)])
    return len(told)


def get_history(
    session: Session, instrument: str, first: date, last: date, interval: str, *, adjusted: bool
) -> list[Bar]:
    """An instrument's bars; a session without prices is a bar without. `NotFound` when nothing is known of it."""
    rows = market.list_prices(session, [instrument], first, last)
    if not rows and market.find_instrument(session, instrument) is None:
        raise NotFound
    actions = [(ex_day, ratio) for _, ex_day, ratio in market.list_actions(session, [instrument])] if adjusted else []
    bars = [_bar(row[1], row[2:6], row[6], adjustment(actions, row[1])) for row in rows]
    if interval == "day":
        return _with_gaps(bars)
    return _grouped(bars, interval)


def _bar(day: date, prices: Sequence[int], volume: int | None, divisor: Decimal) -> Bar:
    opened, high, low, close = (Decimal(price) / divisor for price in prices)
    return Bar(day, opened, high, low, close, None if volume is None else int(volume * divisor))


def _with_gaps(bars: list[Bar]) -> list[Bar]:
    if not bars:
        return []
    by_day = {bar.day: bar for bar in bars}
    span = (bars[0].day + timedelta(days=n) for n in range((bars[-1].day - bars[0].day).days + 1))
    return [by_day.get(day, Bar(day)) for day in span if day in by_day or is_session_day(day)]


def _grouped(bars: list[Bar], interval: str) -> list[Bar]:
    """Weeks (from Monday) or months, each named by its first day; only what was traded counts."""
    groups: dict[date, list[Bar]] = {}
    for bar in bars:
        monday = bar.day - timedelta(days=bar.day.weekday())
        groups.setdefault(monday if interval == "week" else bar.day.replace(day=1), []).append(bar)
    return [
        Bar(
            start,
            part[0].open,
            max(bar.high for bar in part if bar.high is not None),
            min(bar.low for bar in part if bar.low is not None),
            part[-1].close,
            None if any(bar.volume is None for bar in part) else sum(bar.volume or 0 for bar in part),
        )
        for start, part in sorted(groups.items())
    ]
