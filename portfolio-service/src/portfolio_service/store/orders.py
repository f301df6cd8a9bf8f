"""Orders as clients see them, one by one."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import cast, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from portfolio_service.domain.views import OrderView
from portfolio_service.models import OrderRow
from portfolio_service.store.arrays import array, rows_of
from saras_common.clock import rfc3339

_COLUMNS = (
    OrderRow.id,
    OrderRow.user_id,
    OrderRow.portfolio_id,
    OrderRow.instrument,
    OrderRow.side,
    OrderRow.order_type,
    OrderRow.product,
    OrderRow.quantity,
    OrderRow.price_paise,
    OrderRow.trigger_price_paise,
    OrderRow.validity,
    OrderRow.status,
    OrderRow.status_reason,
    OrderRow.filled_quantity,
    OrderRow.filled_paise,
    OrderRow.charges,
    OrderRow.basket_id,
    OrderRow.batch_id,
    OrderRow.created_at,
    OrderRow.updated_at,
    OrderRow.timeline,
)

_VIEWS = """
SELECT id, user_id, portfolio_id, instrument, side, order_type, product, quantity, price_paise, trigger_price_paise,
    validity, status, status_reason, filled_quantity, filled_paise, charges, basket_id, batch_id, created_at,
    updated_at, timeline
FROM orders WHERE id = ANY(%s::uuid[])
"""


def _view(row: Any) -> OrderView:
    values = list(row)
    for index in (0, 1, 2, 16, 17):
        if values[index] is not None:
            values[index] = str(values[index])
    return OrderView(*values)


def list_views(session: Session, order_ids: Sequence[str]) -> dict[str, OrderView]:
    """Orders by id, whoever's the session may see."""
    if not order_ids:
        return {}
    return {view.id: view for view in map(_view, rows_of(session, _VIEWS, array(order_ids)))}


def list_page(
    session: Session,
    user_id: UUID,
    *,
    status: str | None,
    instrument: str | None,
    since: datetime | None,
    before: UUID | None,
    limit: int,
) -> list[OrderView]:
    """A user's orders, newest first; ``before`` is the last of the page before."""
    query = select(*_COLUMNS).where(OrderRow.user_id == user_id).order_by(OrderRow.id.desc()).limit(limit)
    if status is not None:
        query = query.where(OrderRow.status == status)
    if instrument is not None:
        query = query.where(OrderRow.instrument == instrument)
    if since is not None:
        query = query.where(OrderRow.created_at >= since)
    if before is not None:
        query = query.where(OrderRow.id < before)
    return [_view(row) for row in session.execute(query)]


def find_view(session: Session, user_id: UUID, order_id: UUID) -> OrderView | None:
    """One order of that user."""
    row = session.execute(select(*_COLUMNS).where(OrderRow.id == order_id, OrderRow.user_id == user_id)).one_or_none()
    return None if row is None else _view(row)


class Cancellable(NamedTuple):
    """What a cancel has to know of an order."""

    status: str
    account_id: str
    is_requested: bool


def lock_for_cancel(session: Session, user_id: UUID, order_id: UUID) -> Cancellable | None:
    """The user's order, locked until the transaction ends."""
    row = session.execute(
        select(OrderRow.status, OrderRow.account_id, OrderRow.cancel_requested_at)
        .where(OrderRow.id == order_id, OrderRow.user_id == user_id)
        .with_for_update()
    ).one_or_none()
    return None if row is None else Cancellable(row[0], row[1], row[2] is not None)


def mark_cancel_requested(session: Session, order_id: UUID, status: str, now: datetime) -> None:
    """Note the request in the order's timeline."""
    note = [[rfc3339(now), status, "cancel requested"]]
    session.execute(
        update(OrderRow)
        .where(OrderRow.id == order_id)
        .values(cancel_requested_at=now, updated_at=now, timeline=OrderRow.timeline.op("||")(cast(note, JSONB)))
    )
