"""What the market and the reference data said: listings, marks, blocks, daily closes, splits, facts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction

from sqlalchemy import text
from sqlalchemy.orm import Session

from saras_common.events import CorporateAction, DayPrice, InstrumentFacts, Listing, Mark

_LIST = text("""
INSERT INTO instruments (name, title, tick_paise, lot_size, kind)
SELECT * FROM unnest(CAST(:names AS text[]), CAST(:titles AS text[]), CAST(:ticks AS bigint[]),
    CAST(:lots AS bigint[]), CAST(:kinds AS text[]))
ON CONFLICT (name) DO UPDATE SET title = excluded.title, tick_paise = excluded.tick_paise,
    lot_size = excluded.lot_size, kind = excluded.kind
""")
_MARK = text("""
INSERT INTO marks AS m (instrument, last_paise, at)
SELECT * FROM unnest(CAST(:names AS text[]), CAST(:lasts AS bigint[]), CAST(:ats AS timestamptz[]))
ON CONFLICT (instrument) DO UPDATE SET last_paise = excluded.last_paise, at = excluded.at WHERE m.at <= excluded.at
""")
_BLOCK = text("""
INSERT INTO blocked_instruments (instrument, account_id)
SELECT unnest(CAST(:names AS text[])), :account ON CONFLICT DO NOTHING
""")
_UNBLOCK = text(
    "DELETE FROM blocked_instruments WHERE instrument = ANY(CAST(:names AS text[])) AND account_id = :account"
)
_DAYS = text("""
INSERT INTO day_prices AS d (instrument, day, close_paise, volume, told_at)
SELECT n.instrument, n.day, n.close, n.volume, CAST(:at AS timestamptz)
FROM unnest(CAST(:names AS text[]), CAST(:days AS date[]), CAST(:closes AS bigint[]), CAST(:volumes AS bigint[]))
    AS n (instrument, day, close, volume)
ON CONFLICT (instrument, day) DO UPDATE SET close_paise = excluded.close_paise, volume = excluded.volume,
    told_at = excluded.told_at WHERE d.told_at <= excluded.told_at
""")
_ACT = text("""
INSERT INTO corporate_actions (instrument, ex_day, ratio)
SELECT * FROM unnest(CAST(:names AS text[]), CAST(:days AS date[]), CAST(:ratios AS text[]))
ON CONFLICT (instrument, ex_day) DO UPDATE SET ratio = excluded.ratio
""")
_DESCRIBE = text("""
INSERT INTO facts (instrument, sector, shares_issued)
SELECT * FROM unnest(CAST(:names AS text[]), CAST(:sectors AS text[]), CAST(:shares AS bigint[]))
ON CONFLICT (instrument) DO UPDATE SET sector = excluded.sector, shares_issued = excluded.shares_issued
""")
_KNOWN = text("""
SELECT i.name, i.title, i.tick_paise, m.last_paise, m.at, f.sector, f.shares_issued,
    EXISTS (SELECT FROM blocked_instruments b WHERE b.instrument = i.name) AS is_suspended
FROM instruments i LEFT JOIN marks m ON m.instrument = i.name LEFT JOIN facts f ON f.instrument = i.name
WHERE i.name = ANY(CAST(:names AS text[])) AND i.kind = 'EQ'
""")
_CLOSES = text("""
SELECT instrument, day, close_paise FROM day_prices
WHERE instrument = ANY(CAST(:names AS text[])) AND day >= :since ORDER BY instrument, day
""")
_ACTIONS = text(
    "SELECT instrument, ex_day, ratio FROM corporate_actions WHERE instrument = ANY(CAST(:names AS text[]))"
)
_TURNOVERS = text("""
SELECT name, close_paise * volume AS turnover FROM unnest(CAST(:names AS text[])) AS name
CROSS JOIN LATERAL (SELECT close_paise, volume FROM day_prices
    WHERE instrument = name AND volume IS NOT NULL ORDER BY day DESC LIMIT 20) AS latest
""")
_WITH_HISTORY = text("""
SELECT d.instrument FROM day_prices d JOIN instruments i ON i.name = d.instrument AND i.kind = 'EQ'
WHERE d.day >= :since GROUP BY d.instrument HAVING count(*) > :least ORDER BY d.instrument
""")


@dataclass(frozen=True, slots=True)
class Known:
    """One listed share. Prices in paise; what was never told is ``None``."""

    name: str
    title: str
    tick_paise: int
    last_paise: int | None
    priced_at: datetime | None
    sector: str | None
    shares_issued: int | None
    is_suspended: bool


def put_listings(session: Session, listings: Mapping[str, Listing]) -> None:
    """Instruments by name, new or changed."""
    rows = [listings[name] for name in sorted(listings)]
    session.execute(
        _LIST,
        {
            "names": [row.instrument for row in rows],
            "titles": [row.name for row in rows],
            "ticks": [row.tick_paise for row in rows],
            "lots": [row.lot_size for row in rows],
            "kinds": [row.kind for row in rows],
        },
    )


def put_marks(session: Session, marks: Mapping[str, tuple[Mark, datetime]]) -> None:
    """Last prices by instrument; an older one than what is stored changes nothing."""
    rows = [marks[name] for name in sorted(marks)]
    session.execute(
        _MARK,
        {
            "names": [mark.instrument for mark, _ in rows],
            "lasts": [mark.last_paise for mark, _ in rows],
            "ats": [at for _, at in rows],
        },
    )


def block(session: Session, account_id: str, instruments: Sequence[str], *, blocked: bool) -> None:
    """Buys of these are stopped, or allowed again, on one broker account."""
    session.execute(_BLOCK if blocked else _UNBLOCK, {"names": sorted(instruments), "account": account_id})


def put_days(session: Session, prices: Iterable[DayPrice], at: datetime) -> None:
    """Daily closes; of two for a day the one told later stays."""
    latest = {(price.instrument, price.day): price for price in prices if price.close_paise > 0}
    rows = [latest[key] for key in sorted(latest)]
    session.execute(
        _DAYS,
        {
            "at": at,
            "names": [row.instrument for row in rows],
            "days": [row.day for row in rows],
            "closes": [row.close_paise for row in rows],
            "volumes": [row.volume for row in rows],
        },
    )


def put_actions(session: Session, actions: Iterable[CorporateAction]) -> None:
    """Splits and bonuses."""
    latest = {(action.instrument, action.ex_day): action.ratio for action in actions if Fraction(action.ratio) > 0}
    keys = sorted(latest)
    session.execute(
        _ACT,
        {
            "names": [name for name, _ in keys],
            "days": [day for _, day in keys],
            "ratios": [latest[key] for key in keys],
        },
    )


def put_facts(session: Session, facts: Iterable[InstrumentFacts]) -> None:
    """Sector and issued shares."""
    latest = {fact.instrument: fact for fact in facts}
    rows = [latest[name] for name in sorted(latest)]
    session.execute(
        _DESCRIBE,
        {
            "names": [row.instrument for row in rows],
            "sectors": [row.sector for row in rows],
            "shares": [row.shares_issued for row in rows],
        },
    )


def list_known(session: Session, names: Iterable[str]) -> dict[str, Known]:
    """Listed shares among ``names``."""
    rows = session.execute(_KNOWN, {"names": sorted(set(names))}).all()
    return {
        row.name: Known(
            row.name,
            row.title,
            row.tick_paise,
            row.last_paise,
            row.at,
            row.sector,
            row.shares_issued,
            row.is_suspended,
        )
        for row in rows
    }


def list_closes(session: Session, names: Iterable[str], since: date) -> dict[str, dict[date, int]]:
    """Closes as traded, paise, by instrument and day."""
    found: dict[str, dict[date, int]] = {}
    for row in session.execute(_CLOSES, {"names": sorted(set(names)), "since": since}):
        found.setdefault(row.instrument, {})[row.day] = row.close_paise
    return found


def list_actions(session: Session, names: Iterable[str]) -> dict[str, list[tuple[date, Fraction]]]:
    """Splits and bonuses by instrument."""
    found: dict[str, list[tuple[date, Fraction]]] = {}
    for row in session.execute(_ACTIONS, {"names": sorted(set(names))}):
        found.setdefault(row.instrument, []).append((row.ex_day, Fraction(row.ratio)))
    return found


def list_turnovers(session: Session, names: Iterable[str]) -> dict[str, list[int]]:
    """Paise traded on the latest days with a volume, newest first."""
    found: dict[str, list[int]] = {}
    for row in session.execute(_TURNOVERS, {"names": sorted(set(names))}):
        found.setdefault(row.name, []).append(int(row.turnover))
    return found


def list_with_history(session: Session, since: date, least: int) -> list[str]:
    """Listed shares with more than ``least`` closes since then."""
    return list(session.execute(_WITH_HISTORY, {"since": since, "least": least}).scalars())
