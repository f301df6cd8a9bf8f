"""From the queues to the use cases."""

from collections.abc import Callable

from sqlalchemy.orm import Session

from saras_common.events import Event, OrderUpdated
from smallcase_service.usecases import market, told

Handler = Callable[[Session, list[Event]], None]


def orders_handler() -> Handler:
    """Applies the queue ``smallcase-service``."""

    def handle(session: Session, events: list[Event]) -> None:
        told.update_orders(session, [event for event in events if isinstance(event, OrderUpdated)])

    return handle


def market_handler() -> Handler:
    """Applies the queue ``smallcase-service.market``."""
    return market.update_market
