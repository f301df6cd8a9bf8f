"""Instruments, daily prices, corporate actions."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sqlalchemy.orm import Session

from analytics_service.domain.tax import Action, ActionKind
from analytics_service.store.statements import columns, rows_of, run
from saras_common.events import DayPrice, InstrumentFacts, Listing

_LIST = """
INSERT INTO instruments (name, title, kind, is_listed)
SELECT *, true FROM unnest(%b::text[], %b::text[], %b::text[])
ON CONFLICT (name) DO UPDATE SET title = excluded.title, kind = excluded.kind, is_listed = true
"""

_DESCRIBE = """
INSERT INTO instruments AS i (name, title, kind, is_listed, sector, shares_issued)
SELECT name, name, 'EQ', false, sector, shares
FROM unnest(%b::text[], %b::text[], %b::bigint[]) AS n (name, sector, shares)
ON CONFLICT (name) DO UPDATE SET sector = excluded.sector,
    shares_issued = coalesce(excluded.shares_issued, i.shares_issued)
WHERE i.sector IS DISTINCT FROM excluded.sector
    OR i.shares_issued IS DISTINCT FROM coalesce(excluded.shares_issued, i.shares_issued)
RETURNING name
"""

# an import is a whole day already, marks of a session widen the day they fall on
_MARK = """
INSERT INTO day_prices AS p (instrument, day, open_paise, high_paise, low_paise, close_paise, source)
SELECT *, 'session' FROM unnest(%b::text[], %b::date[], %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[])
ON CONFLICT (instrument, day) DO UPDATE SET high_paise = greatest(p.high_paise, excluded.high_paise),
    low_paise = least(p.low_paise, excluded.low_paise), close_paise = excluded.close_paise
WHERE p.source = 'session'
"""

_IMPORT = """
INSERT INTO day_prices AS p (instrument, day, open_paise, high_paise, low_paise, close_paise, volume, source)
SELECT *, 'import' FROM unnest(%b::text[], %b::date[], %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[],
    %b::bigint[])
ON CONFLICT (instrument, day) DO UPDATE SET open_paise = excluded.open_paise, high_paise = excluded.high_paise,
    low_paise = excluded.low_paise, close_paise = excluded.close_paise, volume = excluded.volume, source = 'import'
"""

_ACT = """
INSERT INTO corporate_actions (instrument, ex_day, ratio, kind)
SELECT * FROM unnest(%b::text[], %b::date[], %b::numeric[], %b::text[])
ON CONFLICT (instrument, ex_day) DO UPDATE SET ratio = excluded.ratio, kind = excluded.kind
"""

_RANGES = """
SELECT p.instrument, p.day, p.low_paise, p.high_paise FROM unnest(%b::text[], %b::date[]) AS k (instrument, day)
JOIN day_prices p ON (p.instrument, p.day) = (k.instrument COLLATE "C", k.day)
"""

_PRICES = """
SELECT instrument, day, open_paise, high_paise, low_paise, close_paise, volume FROM day_prices
WHERE instrument = ANY(%b::text[]) AND day BETWEEN %b AND %b ORDER BY instrument, day
"""


# plain big-endian integers: nothing is parsed row by row
_CLOSES = """
SELECT string_agg(int4send(day - DATE '1970-01-01'), ''::bytea ORDER BY day),
    string_agg(int8send(close_paise), ''::bytea ORDER BY day)
FROM day_prices WHERE instrument = %b AND day BETWEEN %b AND %b
"""

Days = npt.NDArray[np.datetime64]
Floats = npt.NDArray[np.float64]


class Known(NamedTuple):
    """An instrument as far as it is known."""

    name: str
    title: str
    kind: str
    is_listed: bool
    sector: str | None
    shares_issued: int | None


def put_listings(session: Session, listings: Iterable[Listing]) -> None:
    """Instruments the broker lists, new or changed; of two of one name the later counts."""
    latest = {listing.instrument: listing for listing in listings}
    rows = sorted((listing.instrument, listing.name, listing.kind) for listing in latest.values())
    run(session, _LIST, *columns(rows, 3))


def put_facts(session: Session, facts: Iterable[InstrumentFacts]) -> set[str]:
    """Sectors and issued shares; the names whose facts are new or changed."""
    latest = {fact.instrument: fact for fact in facts}
    rows = [(fact.instrument, fact.sector, fact.shares_issued) for _, fact in sorted(latest.items())]
    return {name for (name,) in rows_of(session, _DESCRIBE, *columns(rows, 3))}


def put_marks(session: Session, days: Mapping[tuple[str, date], tuple[int, int, int, int]]) -> None:
    """First, highest, lowest and last price of marks by instrument and day."""
    rows = [(*key, *prices) for key, prices in sorted(days.items())]
    run(session, _MARK, *columns(rows, 6))


def put_day_prices(session: Session, prices: Iterable[DayPrice]) -> None:
    """Whole days, in place of what was known of them."""
    latest = {(price.instrument, price.day): price for price in prices}
    rows = [
        (
            price.instrument,
            price.day,
            price.open_paise,
            price.high_paise,
            price.low_paise,
            price.close_paise,
            price.volume,
        )
        for _, price in sorted(latest.items())
    ]
    run(session, _IMPORT, *columns(rows, 7))


def put_actions(session: Session, actions: Iterable[Action]) -> None:
    """Splits and bonuses by instrument and ex-day; of two of one day the later counts."""
    latest = {(one.instrument, one.ex_day): one for one in actions}
    rows = [(*key, one.ratio, one.kind.value) for key, one in sorted(latest.items())]
    run(session, _ACT, *columns(rows, 4))


def list_sectors(session: Session, names: Collection[str]) -> dict[str, str | None]:
    """Sector by name, of those of ``names`` the broker lists."""
    query = "SELECT name, sector FROM instruments WHERE is_listed AND name = ANY(%b::text[])"
    return dict(rows_of(session, query, list(names)))


def list_undescribed(session: Session, names: Collection[str]) -> list[str]:
    """Those of ``names`` the broker lists and nobody gave a sector."""
    query = "SELECT name FROM instruments WHERE sector IS NULL AND name = ANY(%b::text[]) ORDER BY name"
    return [name for (name,) in rows_of(session, query, list(names))]


def find_instrument(session: Session, name: str) -> Known | None:
    """What is known of one instrument."""
    query = "SELECT name, title, kind, is_listed, sector, shares_issued FROM instruments WHERE name = %b"
    return next((Known(*row) for row in rows_of(session, query, name)), None)


def load_closes(session: Session, name: str, first: date, last: date) -> tuple[Days, Floats]:
    """Days with a price and their closes in paise, as traded, ascending."""
    ((on, closes),) = rows_of(session, _CLOSES, name, first, last)
    days = np.frombuffer(on or b"", ">i4").astype("datetime64[D]")
    return days, np.frombuffer(closes or b"", ">i8").astype(np.float64)


def list_instruments(session: Session, names: Collection[str]) -> list[Known]:
    """What is known of those of ``names`` that are listed, by name."""
    query = (
        "SELECT name, title, kind, is_listed, sector, shares_issued FROM instruments"
        " WHERE is_listed AND name = ANY(%b::text[]) ORDER BY name"
    )
    return [Known(*row) for row in rows_of(session, query, list(names))]


def list_last(session: Session, names: Collection[str]) -> dict[str, int]:
    """The newest close or mark by instrument."""
    query = (
        "SELECT n.name, p.close_paise FROM unnest(%b::text[]) AS n (name), LATERAL (SELECT close_paise FROM day_prices"
        ' WHERE instrument = n.name COLLATE "C" ORDER BY day DESC LIMIT 1) p'
    )
    return dict(rows_of(session, query, list(names)))


def list_closes(session: Session, days: Sequence[date]) -> dict[tuple[str, date], int]:
    """Closes of everything on these days, as traded."""
    query = "SELECT instrument, day, close_paise FROM day_prices WHERE day = ANY(%b::date[])"
    return {(name, day): close for name, day, close in rows_of(session, query, list(days))}


def list_ranges(session: Session, keys: Collection[tuple[str, date]]) -> dict[tuple[str, date], tuple[int, int]]:
    """Lowest and highest price by instrument and day, where known."""
    found = rows_of(session, _RANGES, *columns(sorted(keys), 2))
    return {(instrument, day): (low, high) for instrument, day, low, high in found}


def list_prices(session: Session, names: Sequence[str], first: date, last: date) -> list[tuple[Any, ...]]:
    """(instrument, day, open, high, low, close, volume), by instrument and day."""
    return rows_of(session, _PRICES, list(names), first, last)


def list_actions(session: Session, names: Sequence[str]) -> list[tuple[str, date, Decimal]]:
    """(instrument, ex-day, new shares per old one), oldest first."""
    query = "SELECT instrument, ex_day, ratio FROM corporate_actions WHERE instrument = ANY(%b::text[]) ORDER BY 1, 2"
    return [(name, ex_day, ratio) for name, ex_day, ratio in rows_of(session, query, list(names))]


def list_actions_until(session: Session, names: Collection[str], until: date) -> list[Action]:
    """Splits and bonuses of ``names`` with an ex-day up to ``until``, oldest first."""
    query = (
        "SELECT instrument, ex_day, ratio, kind FROM corporate_actions"
        " WHERE instrument = ANY(%b::text[]) AND ex_day <= %b ORDER BY ex_day, instrument"
    )
    rows = rows_of(session, query, list(names), until)
    return [Action(name, ex_day, ratio, ActionKind(kind)) for name, ex_day, ratio, kind in rows]


def list_day(session: Session, day: date) -> list[DayPrice]:
    """Every instrument's prices of a day."""
    query = (
        "SELECT instrument, day, open_paise, high_paise, low_paise, close_paise, volume FROM day_prices"
        " WHERE day = %b ORDER BY instrument"
    )
    return [
        DayPrice(
            instrument=row[0], day=row[1], open_paise=row[2], high_paise=row[3], low_paise=row[4], close_paise=row[5],
            volume=row[6],
        )
        for row in rows_of(session, query, day)
    ]  # fmt: skip
