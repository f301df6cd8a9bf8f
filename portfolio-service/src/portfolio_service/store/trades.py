"""Trades: what the ledger says was executed, and what users recorded of elsewhere."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from portfolio_service.domain.ledger import instrument_of
from portfolio_service.domain.trades import ELSEWHERE, PLATFORM, TradeView
from portfolio_service.models import RecordedTradeRow
from portfolio_service.store.arrays import rows_of

_EXECUTED = """
SELECT id, at, kind, asset, amount, value_paise, charges_paise, order_id::text FROM entries
WHERE owner_id = %s AND kind NOT IN ('reserve', 'release') AND id <= %s
    AND kind IN ('buy', 'sell', 'bust') AND account IN ('securities', 'securities_held') ORDER BY id DESC LIMIT %s
"""

_RECORDED = """
SELECT id::text, instrument, side, quantity, price_paise, traded_at FROM recorded_trades
WHERE user_id = %s AND (%s::uuid IS NULL
    OR (traded_at, id) <= (SELECT r.traded_at, r.id FROM recorded_trades r WHERE r.user_id = %s AND r.id = %s))
ORDER BY traded_at DESC, id DESC LIMIT %s
"""


def list_executed(session: Session, user_id: UUID, start: int, limit: int) -> list[TradeView]:
    """A user's own executions as they were posted, newest first; from entry ``start`` on."""
    return [_executed(*row) for row in rows_of(session, _EXECUTED, user_id, start, limit)]


def list_recorded(session: Session, user_id: UUID, start: UUID | None, limit: int) -> list[TradeView]:
    """What a user recorded, newest trade first; from ``start`` on; none when there is no such record."""
    rows = rows_of(session, _RECORDED, user_id, start, user_id, start, limit)
    return [_recorded(*row) for row in rows]


def add_recorded(session: Session, row: RecordedTradeRow) -> TradeView:
    """Store a record."""
    session.add(row)
    session.flush()
    return _recorded(str(row.id), row.instrument, row.side, row.quantity, row.price_paise, row.traded_at)


def _recorded(
    trade_id: str, instrument: str, side: str, quantity: int, price_paise: int, traded_at: datetime
) -> TradeView:
    """A record as a trade."""
    value = price_paise * quantity
    return TradeView(trade_id, None, instrument, None, side, side.lower(), quantity, value, None, traded_at, ELSEWHERE)


def _executed(
    entry_id: int, at: datetime, kind: str, asset: str, amount: int, value: int, charges: int, order_id: str | None
) -> TradeView:
    instrument, product = instrument_of(asset)
    side = "BUY" if amount > 0 else "SELL"
    return TradeView(
        str(entry_id), order_id, instrument, product, side, kind, abs(amount), abs(value), charges, at, PLATFORM
    )
