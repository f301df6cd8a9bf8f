"""Trades as a user sees them. What was done elsewhere is the user's own record: the ledger never hears of it."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from portfolio_service.domain.refusals import UnknownInstrument
from portfolio_service.domain.trades import Position, TradeView, page_of
from portfolio_service.models import RecordedTradeRow
from portfolio_service.store import market, outbox, trades
from saras_common.errors import InvalidInput
from saras_common.events import TradeRecorded
from saras_common.ids import NewId
from saras_common.logs import request_id_var


def record_trade(
    session: Session,
    user_id: UUID,
    instrument: str,
    side: str,
    quantity: int,
    price_paise: int,
    traded_at: datetime | None,
    *,
    now: datetime,
    new_id: NewId,
) -> TradeView:
    """Keep a trade done elsewhere, at ``now`` unless told, and tell of it.

    `UnknownInstrument`; `InvalidInput` when it is to come.
    """
    if traded_at is not None and traded_at > now:
        raise InvalidInput(errors=[{"field": "traded_at", "message": "is in the future"}])
    if not market.is_listed(session, instrument):
        raise UnknownInstrument
    row = RecordedTradeRow(
        id=new_id(),
        user_id=user_id,
        instrument=instrument,
        side=side,
        quantity=quantity,
        price_paise=price_paise,
        traded_at=traded_at or now,
        recorded_at=now,
    )
    recorded = TradeRecorded(
        at=now,
        request_id=request_id_var.get(),
        trade_id=row.id,
        user_id=user_id,
        instrument=instrument,
        side="BUY" if side == "BUY" else "SELL",
        quantity=quantity,
        price_paise=price_paise,
        traded_at=row.traded_at,
    )
    outbox.tell(session, [recorded])
    return trades.add_recorded(session, row)


def list_trades(
    session: Session, user_id: UUID, start: Position, limit: int
) -> tuple[list[TradeView], Position | None]:
    """A user's trades from ``start`` on, newest first, and where the next page starts, if there is one."""
    executed = trades.list_executed(session, user_id, start.entry_id, limit + 1)
    recorded = trades.list_recorded(session, user_id, start.recorded_id, limit + 1)
    return page_of(executed, recorded, limit)
