"""For the platform's own processes; the gateway routes nothing here."""

from fastapi import APIRouter

from saras_common.errors import InvalidInput
from saras_common.web import ServiceCaller, StrictRoute
from user_service import usecases
from user_service.api.edge import Ctx, SignInLane
from user_service.schemas import (
    RevocationsAnswer,
    Seeded,
    SeededSession,
    SeededUser,
    SeedSessions,
    SeedUsers,
    UserRevocation,
)

router = APIRouter(prefix="/internal", route_class=StrictRoute, include_in_schema=False)
_MAX_CURSOR = 2**62


@router.get("/revocations")
def list_revocations(_service: ServiceCaller, ctx: Ctx, since: str | None = None) -> RevocationsAnswer:
    """Whose tokens are worthless since the last time."""
    found = usecases.list_revocations(ctx, _cursor(since))
    users = [UserRevocation(user_id=user_id, min_version=version) for user_id, version in found.min_versions.items()]
    return RevocationsAnswer(cursor=str(found.cursor), sessions=found.session_ids, users=users)


@router.post("/users", status_code=201)
async def seed_users(body: SeedUsers, _service: ServiceCaller, ctx: Ctx, lane: SignInLane) -> Seeded:
    """Many users with one password (sandbox)."""
    people = [(user.email, user.full_name) for user in body.users]
    users = await lane.run(
        lambda: usecases.seed_users(ctx, people, password=body.password, is_kyc_approved=body.kyc_approved)
    )
    return Seeded(items=[SeededUser(id=user.id, email=user.email) for user in users])


@router.post("/sessions", status_code=201)
def open_sessions(body: SeedSessions, _service: ServiceCaller, ctx: Ctx) -> Seeded:
    """A session and an access token for each of many users (sandbox)."""
    opened = usecases.open_sessions(ctx, body.user_ids)
    return Seeded(
        items=[
            SeededSession(user_id=user.id, session_id=session_id, access_token=token)
            for user, session_id, token in opened
        ]
    )


def _cursor(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or int(text[:20]) > _MAX_CURSOR:
        raise InvalidInput(errors=[{"field": "since", "message": "not a cursor of this list"}])
    return int(text)
