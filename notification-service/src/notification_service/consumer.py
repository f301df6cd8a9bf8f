"""From the queues to the use cases."""

from collections.abc import Callable

from sqlalchemy.orm import Session

from notification_service.usecases.alerts import watch_marks
from notification_service.usecases.context import Context
from notification_service.usecases.feed import record_events
from notification_service.usecases.telling import tell_events
from saras_common.events import Event, MarksChanged

Handler = Callable[[Session, list[Event]], None]


def news_handler(context: Context) -> Handler:
    """Applies the queue ``notification-service``."""

    def handle(session: Session, events: list[Event]) -> None:
        tell_events(context, session, events)

    return handle


def feed_handler() -> Handler:
    """Applies the queue ``notification-service.feed``."""
    return record_events


def market_handler(context: Context) -> Handler:
    """Applies the queue ``notification-service.market``."""

    def handle(session: Session, events: list[Event]) -> None:
        watch_marks(context, session, [event for event in events if isinstance(event, MarksChanged)])

    return handle
