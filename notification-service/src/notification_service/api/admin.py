"""An administrator's things."""

from fastapi import APIRouter

from notification_service.api.edge import Ctx
from notification_service.schemas import Broadcast, BroadcastAnswer
from notification_service.usecases.broadcasting import broadcast
from saras_common.web import AdminUser, IdempotencyKey, StrictRoute

router = APIRouter(prefix="/admin/notifications", route_class=StrictRoute, tags=["admin"])


@router.post("/broadcast", status_code=202)
def broadcast_message(
    body: Broadcast, _admin: AdminUser, ctx: Ctx, idempotency_key: IdempotencyKey = None
) -> BroadcastAnswer:
    """One message to every active user; the same Idempotency-Key again tells nobody twice."""
    name, recipients = broadcast(ctx, body.title, body.body, key=idempotency_key)
    return BroadcastAnswer(id=name, recipients=recipients)
