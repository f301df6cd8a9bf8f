"""What a user does with the inbox."""

from uuid import UUID

from notification_service.domain.preferences import STANDARD, Preferences
from notification_service.domain.views import DeliveryView, Notification
from notification_service.store import deliveries, notifications, preferences
from notification_service.usecases.context import Context
from saras_common.errors import NotFound


def list_inbox(
    context: Context, user_id: UUID, *, before: UUID | None, limit: int, unread: bool
) -> tuple[list[Notification], str]:
    """One more than ``limit`` of the newest, to know whether there are more; and the user's language."""
    with context.database.for_users(user_id) as session:
        found = notifications.list_inbox(session, user_id, before=before, limit=limit + 1, unread=unread)
        return found, _language(preferences.find_preferences(session, [user_id]), user_id)


def read_notification(context: Context, user_id: UUID, notification_id: UUID) -> tuple[Notification, str]:
    """Mark it read, once; `NotFound` when the user has none such."""
    with context.database.for_users(user_id) as session:
        found = notifications.mark_read(session, user_id, notification_id, context.clock.now())
        if found is None:
            raise NotFound
        return found, _language(preferences.find_preferences(session, [user_id]), user_id)


def list_deliveries(context: Context, user_id: UUID, notification_id: UUID) -> list[DeliveryView]:
    """How it fares on each channel; `NotFound` when the user has none such."""
    with context.database.for_users(user_id) as session:
        if not notifications.exists(session, user_id, notification_id):
            raise NotFound
        return deliveries.list_of(session, user_id, notification_id)


def _language(found: dict[UUID, Preferences], user_id: UUID) -> str:
    return found.get(user_id, STANDARD).language
