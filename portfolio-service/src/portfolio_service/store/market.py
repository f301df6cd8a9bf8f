"""Instruments, marks and blocks."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from portfolio_service.store.arrays import array, rows_of, run, text_array
from saras_common.events import Listing, Mark

_LIST = """
INSERT INTO instruments (name, token, title, tick_paise, lot_size, kind)
SELECT * FROM unnest(%s::text[], %s::bigint[], %s::text[], %s::bigint[], %s::bigint[], %s::text[])
ON CONFLICT (name) DO UPDATE SET token = excluded.token, title = excluded.title, tick_paise = excluded.tick_paise,
    lot_size = excluded.lot_size, kind = excluded.kind
"""

_MARK = """
INSERT INTO marks AS m (instrument, last_paise, close_paise, at)
SELECT * FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::timestamptz[])
ON CONFLICT (instrument) DO UPDATE SET last_paise = excluded.last_paise,
    close_paise = coalesce(excluded.close_paise, m.close_paise), at = excluded.at WHERE m.at <= excluded.at
"""

_BLOCK = """
INSERT INTO blocked_instruments (instrument, account_id) SELECT unnest(%s::text[]), %s ON CONFLICT DO NOTHING
"""

_UNBLOCK = "DELETE FROM blocked_instruments WHERE instrument = ANY(%s::text[]) AND account_id = %s"


def put_listings(session: Session, listings: Mapping[str, Listing]) -> None:
    """Instruments by name, new or changed."""
    ordered = [listings[name] for name in sorted(listings)]
    run(
        session,
        _LIST,
        text_array([listing.instrument for listing in ordered]),
        array([listing.token for listing in ordered]),
        text_array([listing.name for listing in ordered]),
        array([listing.tick_paise for listing in ordered]),
        array([listing.lot_size for listing in ordered]),
        text_array([listing.kind for listing in ordered]),
    )


def put_marks(session: Session, marks: Mapping[str, tuple[Mark, datetime]]) -> None:
    """Last prices by instrument; an older one than what is stored changes nothing."""
    ordered = [marks[name] for name in sorted(marks)]
    run(
        session,
        _MARK,
        text_array([mark.instrument for mark, _ in ordered]),
        array([mark.last_paise for mark, _ in ordered]),
        array([mark.close_paise for mark, _ in ordered]),
        array([at for _, at in ordered]),
    )


def has_marks(session: Session) -> bool:
    """Whether any instrument has a last price."""
    return bool(rows_of(session, "SELECT EXISTS (SELECT FROM marks JOIN instruments ON name = instrument)")[0][0])


def is_listed(session: Session, instrument: str) -> bool:
    """Whether the broker lists an instrument of that name."""
    return bool(rows_of(session, "SELECT EXISTS (SELECT FROM instruments WHERE name = %s)", instrument)[0][0])


def block(session: Session, account_id: str, instruments: Sequence[str], *, blocked: bool) -> None:
    """Stop or allow buys of these on one broker account."""
    run(session, _BLOCK if blocked else _UNBLOCK, text_array(sorted(instruments)), account_id)
