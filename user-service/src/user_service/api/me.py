"""A user's own things."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from saras_common.errors import NotFound
from saras_common.schemas import Limit, Page, encode_cursor
from saras_common.web import CurrentUser, StrictRoute
from user_service import usecases
from user_service.api.door import answer
from user_service.api.edge import Ctx, From, SignInLane, id_in_cursor, id_in_path
from user_service.domain.kyc import KycDetails
from user_service.domain.people import KycStatus
from user_service.schemas import (
    EnrolmentAnswer,
    KycAnswer,
    KycDeclaration,
    PasswordChange,
    ProfileChange,
    SessionAnswer,
    TokenPairAnswer,
    TotpCodeRequest,
    UserAnswer,
)

router = APIRouter(route_class=StrictRoute, tags=["users"])


@router.post("/logout", status_code=204)
def logout(caller: CurrentUser, ctx: Ctx, origin: From) -> None:
    """End this session on every service."""
    usecases.end_session(ctx, origin, caller.user_id, caller.session_id, reason="logout")


@router.get("/me")
def get_me(caller: CurrentUser, ctx: Ctx) -> UserAnswer:
    """Who I am."""
    return UserAnswer.of(usecases.get_user(ctx, caller.user_id))


@router.patch("/me")
def change_me(body: ProfileChange, caller: CurrentUser, ctx: Ctx) -> UserAnswer:
    """Change name or phone."""
    return UserAnswer.of(usecases.change_profile(ctx, caller.user_id, body.model_dump(exclude_unset=True)))


@router.post("/me/password")
async def change_password(
    body: PasswordChange, caller: CurrentUser, ctx: Ctx, origin: From, lane: SignInLane, response: Response
) -> TokenPairAnswer:
    """Change the password. All sessions end; this device goes on with the pair in the answer."""
    work = lambda: usecases.change_password(ctx, origin, caller.user_id, **body.model_dump())  # noqa: E731 - run in the lane
    return answer(await lane.run(work), response)


@router.post("/me/totp/enroll", status_code=201)
def enroll_totp(caller: CurrentUser, ctx: Ctx, origin: From, response: Response) -> EnrolmentAnswer:
    """A new authenticator secret, in force once confirmed."""
    response.headers["Cache-Control"] = "no-store"
    enrolment = usecases.enroll_totp(ctx, origin, caller.user_id)
    return EnrolmentAnswer(secret=enrolment.secret, otpauth_uri=enrolment.uri)


@router.post("/me/totp/confirm", status_code=204)
def confirm_totp(body: TotpCodeRequest, caller: CurrentUser, ctx: Ctx, origin: From) -> None:
    """Prove that the authenticator works: from now on it is asked for."""
    usecases.confirm_totp(ctx, origin, caller.user_id, body.code)


@router.post("/me/totp/disable", status_code=204)
def disable_totp(body: TotpCodeRequest, caller: CurrentUser, ctx: Ctx, origin: From) -> None:
    """Back to the password alone; takes a code."""
    usecases.disable_totp(ctx, origin, caller.user_id, body.code)


@router.get("/me/sessions")
def list_sessions(
    caller: CurrentUser, ctx: Ctx, limit: Annotated[Limit, Query()] = 50, cursor: str | None = None
) -> Page[SessionAnswer]:
    """My signed-in devices."""
    found = usecases.list_sessions(ctx, caller.user_id, after=id_in_cursor(cursor), limit=limit)
    items = [
        SessionAnswer(
            id=item.id,
            address=item.address,
            agent=item.agent,
            created_at=item.created_at,
            last_used_at=item.last_used_at,
            expires_at=item.expires_at,
            current=item.id == caller.session_id,
        )
        for item in found[:limit]
    ]
    return Page(items=items, next_cursor=encode_cursor(str(items[-1].id)) if len(found) > limit else None)


@router.delete("/me/sessions/{session_id}", status_code=204)
def end_session(session_id: str, caller: CurrentUser, ctx: Ctx, origin: From) -> None:
    """Sign a device out."""
    usecases.end_session(ctx, origin, caller.user_id, id_in_path(session_id), reason="ended_by_user")


@router.put("/me/kyc")
def put_kyc(body: KycDeclaration, caller: CurrentUser, ctx: Ctx, origin: From) -> KycAnswer:
    """Declare, or declare anew; an administrator decides."""
    return KycAnswer.of(*usecases.submit_kyc(ctx, origin, caller.user_id, KycDetails(**body.model_dump())))


@router.get("/me/kyc")
def get_kyc(caller: CurrentUser, ctx: Ctx) -> KycAnswer:
    """Where my declaration stands; status ``none`` before there is one."""
    try:
        return KycAnswer.of(*usecases.get_kyc(ctx, caller.user_id))
    except NotFound:
        return KycAnswer(status=KycStatus.NONE)
