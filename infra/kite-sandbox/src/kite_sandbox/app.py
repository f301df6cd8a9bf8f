"""The only wiring: settings in, an ASGI application out."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute

from kite_sandbox import __version__
from kite_sandbox.clock import SandboxClock, utc_text
from kite_sandbox.edge import (
    fund_routes,
    gtt_routes,
    history_routes,
    margin_routes,
    market_routes,
    order_routes,
    portfolio_routes,
    sandbox_routes,
    session_routes,
)
from kite_sandbox.edge.envelope import failure, plain, success
from kite_sandbox.edge.postbacks import Postbacks
from kite_sandbox.edge.ticker import Ticker
from kite_sandbox.errors import KiteError
from kite_sandbox.journal import JournalError
from kite_sandbox.sandbox import Sandbox
from kite_sandbox.settings import Settings

KITE_ROUTES = (
    *session_routes.ROUTES,
    *order_routes.ROUTES,
    *portfolio_routes.ROUTES,
    *market_routes.ROUTES,
    *history_routes.ROUTES,
    *margin_routes.ROUTES,
    *gtt_routes.ROUTES,
    *fund_routes.ROUTES,
)

ERROR_TYPES = {404: "DataException", 405: "InputException", 422: "InputException"}


def create_app(settings: Settings, clock: SandboxClock | None = None) -> Starlette:
    """The sandbox as an application. The journal is read and locked here; work begins with the lifespan."""
    sandbox = Sandbox(settings, clock or SandboxClock())
    ticker = Ticker(sandbox)
    postbacks = Postbacks(sandbox, settings.postback_url) if settings.postback_url else None

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await sandbox.start()
        if postbacks:
            postbacks.start()
        yield
        if postbacks:
            await postbacks.stop()
        await sandbox.stop()

    async def root(_request: Request) -> Response:
        return success({"name": "kite-sandbox", "version": __version__, "speaks": "Kite Connect v3"})

    async def live(_request: Request) -> Response:
        return plain({"status": "ok"})

    async def ready(_request: Request) -> Response:
        failed = sandbox.journal.failure
        answer = {
            "status": "error" if failed else "ok",
            "journal": failed or "ok",
            "now": utc_text(sandbox.clock.now()),
        }
        return plain(answer, 503 if failed else 200)

    async def metrics(_request: Request) -> Response:
        return Response(sandbox.metrics.render(), media_type=sandbox.metrics.content_type)

    app = Starlette(
        routes=[
            Route("/", root, methods=["GET"]),
            WebSocketRoute("/", ticker.serve),
            Route("/health/live", live, methods=["GET"]),
            Route("/health/ready", ready, methods=["GET"]),
            Route("/metrics", metrics, methods=["GET"]),
            *(route.build(sandbox) for route in KITE_ROUTES),
            *sandbox_routes.sandbox_routes(sandbox),
        ],
        exception_handlers={HTTPException: _http_error, JournalError: _no_journal, Exception: _crash},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.state.sandbox = sandbox
    return app


async def _http_error(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    message = {404: "Route not found", 405: "Method not allowed"}.get(status, "The request could not be handled.")
    return failure(KiteError(status, ERROR_TYPES.get(status, "GeneralException"), message))


async def _no_journal(_request: Request, error: Exception) -> Response:
    return failure(KiteError(503, "NetworkException", str(error)))


async def _crash(_request: Request, _error: Exception) -> Response:
    return failure(KiteError(500, "GeneralException", "Something unexpected went wrong."))
