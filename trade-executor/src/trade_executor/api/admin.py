"""Execution, batches, reconciliation and the broker's login: for administrators alone."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from saras_common.schemas import Limit, Page, decode_cursor, encode_cursor
from saras_common.web import AdminUser, IdempotencyKey, StrictRoute
from trade_executor import schemas
from trade_executor.api.edge import Ctx, id_in_path, once
from trade_executor.usecases import asking, control, planning, viewing
from trade_executor.usecases.context import MarketShut

router = APIRouter(prefix="/admin", route_class=StrictRoute, tags=["execution"])

MOST_LISTED = 2000
"""Orders of a window up to which a list shows who got what."""

AccountId = Annotated[str | None, Query(alias="account_id", max_length=32, pattern=r"^[A-Za-z0-9_-]+$")]


@router.get("/execution")
def get_execution(context: Ctx, _admin: AdminUser) -> schemas.ExecutionView:
    with context.transactions() as store:
        return schemas.ExecutionView(**viewing.view_execution(context, store))


@router.post("/execution/run", status_code=202, response_model=schemas.RunAnswer)
def run_window(context: Ctx, admin: AdminUser, key: IdempotencyKey = None, account_id: AccountId = None) -> Response:
    """The manual trade trigger: closes the open window now."""
    now = context.clock.now()
    if not context.hours.is_open(now):
        raise MarketShut
    name = context.get_door(account_id).account_id
    return once(
        context,
        admin.user_id,
        key,
        f"run {name}".encode(),
        lambda store: {"batch_id": planning.close_now(store, name, now=now)},
    )


@router.post("/execution/halt")
def halt(
    body: schemas.HaltRequest, context: Ctx, _admin: AdminUser, account_id: AccountId = None
) -> schemas.ExecutionView:
    """The kill switch, for one account or all."""
    with context.transactions() as store:
        for name in [context.get_door(account_id).account_id] if account_id else list(context.doors):
            store.ensure_account(name)
            control.halt(store, name, body.reason, now=context.clock.now())
        return schemas.ExecutionView(**viewing.view_execution(context, store))


@router.post("/execution/resume")
def resume(context: Ctx, _admin: AdminUser, account_id: AccountId = None) -> schemas.ExecutionView:
    with context.transactions() as store:
        for name in [context.get_door(account_id).account_id] if account_id else list(context.doors):
            store.ensure_account(name)
            control.resume(store, name, now=context.clock.now())
        return schemas.ExecutionView(**viewing.view_execution(context, store))


@router.post("/execution/resolve")
def resolve(body: schemas.ResolveRequest, context: Ctx, _admin: AdminUser) -> dict[str, str]:
    """A person's verdict on an order in doubt that the executor could not resolve."""
    intent = asking.resolve_by_hand(context, body.tag, placed=body.placed)
    return {"tag": intent.tag, "state": intent.state.value}


@router.get("/batches")
def list_batches(
    context: Ctx, _admin: AdminUser, limit: Limit = 50, cursor: str | None = None
) -> Page[schemas.BatchView]:
    """Windows, latest first; one with very many orders shows its allocations only when asked for alone."""
    position = decode_cursor(cursor, str)
    before = None if position is None else id_in_path(position[0])
    with context.transactions() as store:
        batches = store.list_latest_batches(before, limit + 1)
        items = [
            schemas.BatchView(**viewing.view_batch(store, batch, most_orders=MOST_LISTED)) for batch in batches[:limit]
        ]
    return Page(items=items, next_cursor=encode_cursor(str(items[-1].id)) if len(batches) > limit else None)


@router.get("/batches/{batch_id}")
def get_batch(batch_id: str, context: Ctx, _admin: AdminUser) -> schemas.BatchView:
    with context.transactions() as store:
        return schemas.BatchView(**viewing.view_batch(store, viewing.get_batch(store, id_in_path(batch_id))))


@router.get("/batches/{batch_id}/certificate")
def get_certificate(batch_id: str, context: Ctx, _admin: AdminUser) -> schemas.CertificatesView:
    with context.transactions() as store:
        return schemas.CertificatesView(**viewing.view_certificates(store, id_in_path(batch_id)))


@router.get("/reconciliation")
def get_reconciliation(context: Ctx, _admin: AdminUser, account_id: AccountId = None) -> schemas.ReconciliationView:
    name = context.get_door(account_id).account_id
    with context.transactions() as store:
        return schemas.ReconciliationView(**viewing.view_reconciliation(store, name))


@router.post("/reconciliation/run")
def run_reconciliation(context: Ctx, _admin: AdminUser, account_id: AccountId = None) -> schemas.ReconciliationView:
    name = context.get_door(account_id).account_id
    return schemas.ReconciliationView(**asking.run_reconciliation(context, name))


@router.post("/reconciliation/clear")
def clear_instruments(
    body: schemas.ClearRequest, context: Ctx, _admin: AdminUser, account_id: AccountId = None
) -> schemas.Cleared:
    """Allow buys again in instruments that were stopped; what is in suspense stays there."""
    name = context.get_door(account_id).account_id
    with context.transactions() as store:
        store.ensure_account(name)
        return schemas.Cleared(cleared=control.clear_buys(store, name, body.instruments, now=context.clock.now()))


@router.get("/broker/login-url")
def get_login_url(context: Ctx, _admin: AdminUser, account_id: AccountId = None) -> schemas.LoginUrl:
    return schemas.LoginUrl(url=context.get_door(account_id).login_url)


@router.post("/broker/session")
def open_session(
    body: schemas.SessionRequest, context: Ctx, _admin: AdminUser, account_id: AccountId = None
) -> schemas.LoggedIn:
    asking.log_in(context, account_id, body.request_token)
    return schemas.LoggedIn(state="logged_in")


@router.post("/mark-price")
def set_mark_price(body: schemas.MarkPriceRequest, context: Ctx, _admin: AdminUser) -> schemas.MarkPriceView:
    """Set a price in the sandbox."""
    asking.set_mark(context, body.instrument, body.price)
    return schemas.MarkPriceView(instrument=body.instrument, price=body.price)


__all__: list[Any] = ["router"]
