"""A user's price alerts."""

from typing import Annotated

from fastapi import APIRouter, Query

from notification_service.api.edge import Ctx, id_in_cursor, id_in_path
from notification_service.schemas import AlertAnswer, NewAlert
from notification_service.usecases import alerts
from saras_common.schemas import Limit, Page, encode_cursor
from saras_common.web import CurrentUser, StrictRoute

router = APIRouter(prefix="/alerts", route_class=StrictRoute, tags=["notifications"])


@router.post("", status_code=201)
def add_alert(body: NewAlert, caller: CurrentUser, ctx: Ctx) -> AlertAnswer:
    """Tell me, once, when a price is reached."""
    made = alerts.add_alert(
        ctx, caller.user_id, body.instrument, body.condition, price_paise=body.price, fall_bp=body.fall_bp
    )
    return AlertAnswer.of(made)


@router.get("")
def list_alerts(
    caller: CurrentUser, ctx: Ctx, limit: Annotated[Limit, Query()] = 50, cursor: str | None = None
) -> Page[AlertAnswer]:
    """My alerts, those that fired too."""
    found = alerts.list_alerts(ctx, caller.user_id, after=id_in_cursor(cursor), limit=limit)
    items = [AlertAnswer.of(item) for item in found[:limit]]
    return Page(items=items, next_cursor=encode_cursor(str(items[-1].id)) if len(found) > limit else None)


@router.delete("/{alert_id}", status_code=204)
def delete_alert(alert_id: str, caller: CurrentUser, ctx: Ctx) -> None:
    """Wait no more."""
    alerts.delete_alert(ctx, caller.user_id, id_in_path(alert_id))
