"""An administrator's things."""

from typing import Annotated

from fastapi import APIRouter, Query

from saras_common.schemas import Limit, Page, encode_cursor
from saras_common.web import AdminUser, StrictRoute
from user_service import usecases
from user_service.api.edge import Ctx, From, id_in_cursor, id_in_path
from user_service.domain.people import KycStatus, UserStatus
from user_service.schemas import KycAnswer, KycRejection, UserAnswer, UserChange

router = APIRouter(prefix="/admin/users", route_class=StrictRoute, tags=["admin"])


@router.get("")
def list_users(
    _admin: AdminUser,
    ctx: Ctx,
    limit: Annotated[Limit, Query()] = 50,
    cursor: str | None = None,
    status: UserStatus | None = None,
    kyc_status: KycStatus | None = None,
    email: Annotated[str | None, Query(max_length=320)] = None,
) -> Page[UserAnswer]:
    """Users in the order of registration."""
    found = usecases.list_users(
        ctx,
        after=id_in_cursor(cursor),
        limit=limit,
        status=status,
        kyc_status=kyc_status,
        email=None if email is None else email.strip().lower(),
    )
    items = [UserAnswer.of(user) for user in found[:limit]]
    return Page(items=items, next_cursor=encode_cursor(str(items[-1].id)) if len(found) > limit else None)


@router.patch("/{user_id}")
def change_user(user_id: str, body: UserChange, admin: AdminUser, ctx: Ctx, origin: From) -> UserAnswer:
    """Disable or enable a user, or set its roles."""
    roles = None if body.roles is None else frozenset(role.value for role in body.roles)
    user = usecases.change_user(ctx, origin, id_in_path(user_id), by=admin.user_id, status=body.status, roles=roles)
    return UserAnswer.of(user)


@router.get("/{user_id}/kyc")
def get_kyc(user_id: str, admin: AdminUser, ctx: Ctx) -> KycAnswer:
    """A user's declaration, masked; reading it is recorded."""
    return KycAnswer.of(*usecases.get_kyc(ctx, id_in_path(user_id), read_by=admin.user_id))


@router.post("/{user_id}/kyc/approve")
def approve_kyc(user_id: str, admin: AdminUser, ctx: Ctx, origin: From) -> UserAnswer:
    """Approve what the user declared."""
    return UserAnswer.of(usecases.decide_kyc(ctx, origin, id_in_path(user_id), by=admin.user_id, approve=True))


@router.post("/{user_id}/kyc/reject")
def reject_kyc(user_id: str, body: KycRejection, admin: AdminUser, ctx: Ctx, origin: From) -> UserAnswer:
    """Reject it, and say why."""
    user = usecases.decide_kyc(ctx, origin, id_in_path(user_id), by=admin.user_id, approve=False, reason=body.reason)
    return UserAnswer.of(user)
