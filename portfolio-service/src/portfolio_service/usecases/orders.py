"""A user's orders after acceptance."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from portfolio_service.domain.orders import Status
from portfolio_service.domain.refusals import OrderEnded
from portfolio_service.domain.views import OrderView
from portfolio_service.store import orders, outbox
from saras_common.errors import NotFound
from saras_common.events import CancelRequested


def get_order(session: Session, user_id: UUID, order_id: UUID) -> OrderView:
    """One order; `NotFound` when it is not this user's."""
    view = orders.find_view(session, user_id, order_id)
    if view is None:
        raise NotFound
    return view


def request_cancel(session: Session, user_id: UUID, order_id: UUID, *, now: datetime) -> OrderView:
    """Ask the executor to cancel the rest of an order; asking again changes nothing. `OrderEnded` without a rest."""
    order = orders.lock_for_cancel(session, user_id, order_id)
    if order is None:
        raise NotFound
    if Status(order.status).is_terminal:
        raise OrderEnded
    if not order.is_requested:
        orders.mark_cancel_requested(session, order_id, order.status, now)
        outbox.tell(session, [CancelRequested(at=now, order_id=order_id, account_id=order.account_id)])
    return get_order(session, user_id, order_id)
