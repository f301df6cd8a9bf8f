"""What a user wishes."""

from uuid import UUID

from notification_service.domain.preferences import STANDARD, Preferences
from notification_service.store import preferences
from notification_service.usecases.context import Context


def get_preferences(context: Context, user_id: UUID) -> Preferences:
    """The user's wishes; the standard ones when there are none."""
    with context.database.for_users(user_id) as session:
        return preferences.find_preferences(session, [user_id]).get(user_id, STANDARD)


def set_preferences(context: Context, user_id: UUID, wanted: Preferences) -> Preferences:
    """Replace them. What is on its way already goes as it was planned."""
    with context.database.for_users(user_id) as session:
        preferences.save_preferences(session, user_id, wanted, context.clock.now())
    return wanted
