"""A user's inbox and wishes."""

from typing import Annotated

from fastapi import APIRouter, Query

from notification_service.api.edge import Ctx, id_in_cursor, id_in_path
from notification_service.schemas import (
    Deliveries,
    DeliveryAnswer,
    NotificationAnswer,
    PreferencesAnswer,
    PreferencesBody,
)
from notification_service.usecases import inbox, wishes
from saras_common.schemas import Limit, Page, encode_cursor
from saras_common.web import CurrentUser, StrictRoute

router = APIRouter(prefix="/notifications", route_class=StrictRoute, tags=["notifications"])


@router.get("")
def list_notifications(
    caller: CurrentUser,
    ctx: Ctx,
    limit: Annotated[Limit, Query()] = 50,
    cursor: str | None = None,
    unread: bool = False,
) -> Page[NotificationAnswer]:
    """My inbox, newest first."""
    before = id_in_cursor(cursor)
    found, language = inbox.list_inbox(ctx, caller.user_id, before=before, limit=limit, unread=unread)
    items = [NotificationAnswer.of(item, language) for item in found[:limit]]
    return Page(items=items, next_cursor=encode_cursor(str(items[-1].id)) if len(found) > limit else None)


@router.get("/preferences")
def get_preferences(caller: CurrentUser, ctx: Ctx) -> PreferencesAnswer:
    """Which messages I get, and where."""
    return PreferencesAnswer.of(wishes.get_preferences(ctx, caller.user_id))


@router.put("/preferences")
def put_preferences(body: PreferencesBody, caller: CurrentUser, ctx: Ctx) -> PreferencesAnswer:
    """Replace them; what is left out is the default again."""
    return PreferencesAnswer.of(wishes.set_preferences(ctx, caller.user_id, body.wanted()))


@router.post("/{notification_id}/read")
def read_notification(notification_id: str, caller: CurrentUser, ctx: Ctx) -> NotificationAnswer:
    """Mark it read."""
    return NotificationAnswer.of(*inbox.read_notification(ctx, caller.user_id, id_in_path(notification_id)))


@router.get("/{notification_id}/deliveries")
def list_deliveries(notification_id: str, caller: CurrentUser, ctx: Ctx) -> Deliveries:
    """How it fares on each channel."""
    found = inbox.list_deliveries(ctx, caller.user_id, id_in_path(notification_id))
    return Deliveries(items=[DeliveryAnswer.of(view) for view in found])
