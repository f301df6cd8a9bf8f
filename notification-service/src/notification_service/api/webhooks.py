"""A user's webhooks."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from notification_service.api.edge import Ctx, id_in_cursor, id_in_path
from notification_service.schemas import NewWebhook, NewWebhookAnswer, WebhookAnswer
from notification_service.usecases import webhooks
from saras_common.schemas import Limit, Page, encode_cursor
from saras_common.web import CurrentUser, StrictRoute

router = APIRouter(prefix="/webhooks", route_class=StrictRoute, tags=["notifications"])


@router.post("", status_code=201)
def add_webhook(body: NewWebhook, caller: CurrentUser, ctx: Ctx, response: Response) -> NewWebhookAnswer:
    """Have messages sent to a program of mine; the secret is shown this once."""
    response.headers["Cache-Control"] = "no-store"
    made, secret = webhooks.add_webhook(ctx, caller.user_id, body.url, body.kinds)
    return NewWebhookAnswer.of(made, secret=secret)


@router.get("")
def list_webhooks(
    caller: CurrentUser, ctx: Ctx, limit: Annotated[Limit, Query()] = 50, cursor: str | None = None
) -> Page[WebhookAnswer]:
    """My webhooks."""
    found = webhooks.list_webhooks(ctx, caller.user_id, after=id_in_cursor(cursor), limit=limit)
    items = [WebhookAnswer.of(item) for item in found[:limit]]
    return Page(items=items, next_cursor=encode_cursor(str(items[-1].id)) if len(found) > limit else None)


@router.delete("/{webhook_id}", status_code=204)
def delete_webhook(webhook_id: str, caller: CurrentUser, ctx: Ctx) -> None:
    """Send nothing there any more."""
    webhooks.delete_webhook(ctx, caller.user_id, id_in_path(webhook_id))
