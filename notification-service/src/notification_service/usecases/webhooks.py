"""Webhooks: made, listed, removed; and what becomes of one that fails."""

from uuid import UUID

from sqlalchemy.orm import Session

from notification_service.domain.endpoints import RefusedEndpoint, parse_endpoint
from notification_service.domain.kinds import Kind
from notification_service.domain.news import News
from notification_service.domain.refusals import TooManyWebhooks, WebhookRefused
from notification_service.domain.signing import secret_of
from notification_service.senders.addresses import resolve
from notification_service.store import deliveries, webhooks
from notification_service.store.webhooks import Webhook
from notification_service.usecases.context import Context
from notification_service.usecases.telling import tell
from saras_common.errors import NotFound

MAX_WEBHOOKS = 10


def add_webhook(context: Context, user_id: UUID, url: str, kinds: list[Kind]) -> tuple[Webhook, str]:
    """A new webhook and its secret, shown this once. `WebhookRefused` when its host is not on the open internet now.

    What the name resolves to later is judged again before each delivery.
    """
    try:
        resolve(parse_endpoint(url, allow_loopback=context.rules.allow_loopback), context.rules.allow_loopback)
    except RefusedEndpoint as error:
        raise WebhookRefused(str(error), errors=[{"field": "url", "message": str(error)}]) from error
    now = context.clock.now()
    webhook_id = context.new_id()
    names = [kind.value for kind in kinds]
    with context.database.for_users(user_id) as session:
        if webhooks.count_of(session, user_id) >= MAX_WEBHOOKS:
            raise TooManyWebhooks
        webhooks.add(session, webhook_id, user_id, url, names, now)
    made = Webhook(webhook_id, user_id, url, tuple(names), "active", None, None, now)
    return made, secret_of(context.rules.webhook_key, webhook_id)


def list_webhooks(context: Context, user_id: UUID, *, after: UUID | None, limit: int) -> list[Webhook]:
    """One more than ``limit``, to know whether there are more."""
    with context.database.for_users(user_id) as session:
        return webhooks.list_of(session, user_id, after=after, limit=limit + 1)


def delete_webhook(context: Context, user_id: UUID, webhook_id: UUID) -> None:
    """Remove it and give up what waits for it; `NotFound` when the user has none such."""
    with context.database.for_users(user_id) as session:
        if not webhooks.delete(session, user_id, webhook_id):
            raise NotFound
        deliveries.cancel(session, webhook_id, "the webhook was removed", context.clock.now())


def note_webhook(context: Context, session: Session, webhook_id: UUID, *, failed: str | None) -> None:
    """Remember success, or how long it has been failing; one that fails for too long is disabled, its owner told."""
    found = webhooks.lock(session, webhook_id)
    if found is None or found.status != "active":
        return
    if failed is None:
        if found.failing_since is not None:
            webhooks.mark(session, webhook_id, failing_since=None, reason=None, status="active")
        return
    now = context.clock.now()
    since = found.failing_since or now
    is_over = now - since >= context.rules.webhook_give_up
    status = "disabled" if is_over else "active"
    webhooks.mark(session, webhook_id, failing_since=since, reason=failed, status=status)
    if is_over:
        deliveries.cancel(session, webhook_id, "the webhook is disabled", now)
        host = parse_endpoint(found.url, allow_loopback=True).host
        data = {"at": now.isoformat(), "host": host, "reason": failed}
        tell(context, session, [News(found.user_id, Kind.WEBHOOK_DISABLED, f"webhook:{webhook_id}", now, data)])
