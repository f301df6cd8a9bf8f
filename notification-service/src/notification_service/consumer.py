"""From the queues to the use cases. Events of mixed kinds are applied in order, runs of a kind together."""

from collections.abc import Callable

from sqlalchemy.orm import Session

from notification_service.usecases import people
from notification_service.usecases.context import Context
from saras_common.events import Event, UserChanged

Handler = Callable[[Session, list[Event]], None]


def people_handler(_context: Context) -> Handler:
    """Applies the queue ``notification-service``."""

    def handle(session: Session, events: list[Event]) -> None:
        people.change_people(session, [event for event in events if isinstance(event, UserChanged)])

    return handle
