"""Before anybody is signed in: registration, login, refresh, and the public keys."""

from typing import Any

from fastapi import APIRouter, Request, Response

from saras_common.errors import SarasError
from saras_common.web import GatewayCaller, StrictRoute
from user_service import usecases
from user_service.api.edge import Ctx, From, Logins, SignInLane
from user_service.schemas import Login, RefreshRequest, Registration, TokenPairAnswer, UserAnswer
from user_service.usecases import KeyRing, TokenPair

router = APIRouter(route_class=StrictRoute, tags=["users"])


@router.post("/register", status_code=201)
async def register(body: Registration, ctx: Ctx, origin: From, lane: SignInLane, _caller: GatewayCaller) -> UserAnswer:
    """Make a user."""
    return UserAnswer.of(await lane.run(lambda: usecases.register(ctx, origin, **body.model_dump())))


@router.post("/login")
async def login(
    body: Login, ctx: Ctx, origin: From, lane: SignInLane, logins: Logins, _caller: GatewayCaller, response: Response
) -> TokenPairAnswer:
    """Sign in."""
    try:
        pair = await lane.run(lambda: usecases.login(ctx, origin, **body.model_dump()))
    except SarasError as error:
        logins.labels(error.code).inc()
        raise
    logins.labels("ok").inc()
    return answer(pair, response)


@router.post("/token/refresh")
def refresh(
    body: RefreshRequest, ctx: Ctx, origin: From, _caller: GatewayCaller, response: Response
) -> TokenPairAnswer:
    """Trade a refresh token for the next pair."""
    return answer(usecases.refresh(ctx, origin, body.refresh_token), response)


@router.get("/.well-known/jwks.json")
def jwks(request: Request, response: Response) -> dict[str, Any]:
    """The public keys; open to everybody."""
    keys: KeyRing = request.app.state.key_ring
    response.headers["Cache-Control"] = "public, max-age=10"
    return keys.document()


def answer(pair: TokenPair, response: Response) -> TokenPairAnswer:
    """The pair as sent: never kept by anything on the way."""
    response.headers["Cache-Control"] = "no-store"
    return TokenPairAnswer(access_token=pair.access_token, refresh_token=pair.refresh_token, expires_in=pair.expires_in)
