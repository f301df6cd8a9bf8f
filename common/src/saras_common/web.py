"""The HTTP edge every service shares: strict JSON in, problems out, request ids, health, metrics, identity."""

import json
import logging
import re
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar

from fastapi import APIRouter, Depends, FastAPI, Header, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from prometheus_client import Counter
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import State
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from saras_common import jsonio
from saras_common.auth import Identity, InternalTokens
from saras_common.errors import Forbidden, InvalidInput, SarasError, Unauthenticated, problem
from saras_common.ids import new_id
from saras_common.logs import request_id_var
from saras_common.metrics import Metrics
from saras_common.schemas import IDEMPOTENCY_KEY_PATTERN
from saras_common.settings import ServiceSettings

log = logging.getLogger(__name__)

INTERNAL_TOKEN_HEADER = "X-Internal-Token"  # noqa: S105 - a header's name
NO_CONTENT = 204
_SANE_REQUEST_ID = re.compile(r"^[A-Za-z0-9._-]{1,64}$")
_PEOPLE = frozenset({"user", "admin"})
_OPEN_PATHS = frozenset({"/health/live", "/health/ready", "/metrics"})


Loop = Callable[[threading.Event], None]
"""Blocks until the event is set."""


@dataclass(frozen=True, slots=True)
class Worker:
    """A loop beside the API: ``run`` blocks until ``stop`` is set. A thread, or a process of its own."""

    name: str
    run: Loop


def workers_of(service: str, loops: Mapping[str, Loop], closes: Sequence[Callable[[], None]]) -> list[Worker]:
    """A service's loops, named after it. What they share is closed, in order, by the last of them to end."""
    left, lock = len(loops), threading.Lock()

    def counted(run: Loop, stop: threading.Event) -> None:
        nonlocal left
        try:
            run(stop)
        finally:
            with lock:
                left -= 1
                is_last = left == 0
            if is_last:
                for close in closes:
                    close()

    return [Worker(f"{service}.{name}", partial(counted, run)) for name, run in loops.items()]


class StrictRequest(Request):
    """Reads its JSON body with `jsonio.loads_request`."""

    async def json(self) -> Any:
        if not hasattr(self, "_json"):
            try:
                self._json = jsonio.loads_request(await self.body())
            except jsonio.BadJson as error:
                raise json.JSONDecodeError(str(error), "", 0) from error
        return self._json


class StrictRoute(APIRoute):
    """Route class of every router that takes bodies: ``APIRouter(route_class=StrictRoute)``."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handle(StrictRequest(request.scope, request.receive))

        return strict


def identity_of(state: State, token: str | None) -> Identity:
    """Who calls the application with this ``state``, from the internal token alone."""
    if token is None:
        raise Unauthenticated
    tokens: InternalTokens = state.internal_tokens
    return tokens.verify(token, state.audience)


def person_of(state: State, token: bytes | None) -> Identity:
    """A signed-in person, from the header as it came; services and anonymous callers are refused."""
    return _person(identity_of(state, None if token is None else token.decode("latin-1")))


def _person(identity: Identity) -> Identity:
    if identity.roles.isdisjoint(_PEOPLE):
        raise Unauthenticated
    return identity


def current_identity(request: Request) -> Identity:
    """Who calls, from the internal token alone."""
    return identity_of(request.app.state, request.headers.get(INTERNAL_TOKEN_HEADER))


async def current_user(request: Request) -> Identity:
    """A signed-in person; services and anonymous callers are refused."""
    return _person(current_identity(request))


async def admin_user(request: Request) -> Identity:
    """A signed-in administrator."""
    identity = await current_user(request)
    if "admin" not in identity.roles:
        raise Forbidden
    return identity


async def service_caller(request: Request) -> Identity:
    """Another service, or the gateway speaking for itself."""
    identity = current_identity(request)
    if "service" not in identity.roles:
        raise Forbidden
    return identity


async def gateway_caller(request: Request) -> Identity:
    """Anybody, as long as the gateway or a service vouches: for routes before login."""
    return current_identity(request)


CurrentUser = Annotated[Identity, Depends(current_user)]
AdminUser = Annotated[Identity, Depends(admin_user)]
ServiceCaller = Annotated[Identity, Depends(service_caller)]
GatewayCaller = Annotated[Identity, Depends(gateway_caller)]
IdempotencyKey = Annotated[str | None, Header(alias="Idempotency-Key", max_length=255, pattern=IDEMPOTENCY_KEY_PATTERN)]


def problem_response(error: SarasError) -> Response:
    """``application/problem+json`` for ``error``, with Retry-After when it has one."""
    headers = {} if error.retry_after_s is None else {"Retry-After": str(error.retry_after_s)}
    body = jsonio.dumps(problem(error, request_id_var.get() or ""))
    return Response(body, status_code=error.status, headers=headers, media_type="application/problem+json")


def create_service_app(
    settings: ServiceSettings,
    *,
    title: str,
    internal_tokens: InternalTokens,
    metrics: Metrics,
    checks: Mapping[str, Callable[[], None]],
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]] | None = None,
) -> FastAPI:
    """An application with everything but its own routes. ``checks`` raise when a dependency is not ready."""
    app = FastAPI(
        title=title,
        version="1",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # ours; asking for theirs costs every request
    )
    app.state.internal_tokens = internal_tokens
    app.state.audience = settings.service
    app.state.metrics = metrics
    app.add_exception_handler(SarasError, _saras_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.include_router(_operations(metrics, checks))
    app.add_middleware(RequestScope, service=settings.service, metrics=metrics)
    return app


def _operations(metrics: Metrics, checks: Mapping[str, Callable[[], None]]) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/health/live")
    async def live() -> dict[str, str]:
        return {"status": "ok"}

    @router.get("/health/ready")
    async def ready(response: Response) -> dict[str, Any]:
        states = {name: await run_in_threadpool(_state_of, check) for name, check in checks.items()}
        good = all(state == "ok" for state in states.values())
        response.status_code = 200 if good else 503
        return {"status": "ok" if good else "unavailable", "dependencies": states}

    @router.get("/metrics")
    def exposition() -> Response:
        return Response(metrics.render(), media_type=metrics.content_type)

    return router


def _state_of(check: Callable[[], None]) -> str:
    try:
        check()
    except Exception as error:  # noqa: BLE001 - whatever fails, the dependency is not ready
        return type(error).__name__
    return "ok"


async def _saras_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, SarasError)  # noqa: S101 - registered for this class alone
    return problem_response(error)


async def _validation_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class alone
    return problem_response(invalid_input(error.errors()))


class HttpProblem(SarasError):
    """What the framework itself refuses (no such route, wrong method, body too large)."""

    code, status, title = "http_error", 400, "The request cannot be served"
    _CODES: ClassVar = {
        404: "not_found",
        405: "method_not_allowed",
        413: "body_too_large",
        415: "unsupported_media_type",
    }

    def __init__(self, error: HTTPException) -> None:
        super().__init__(str(error.detail))
        self.status = error.status_code  # type: ignore[misc] # the framework decides per instance
        self.code = self._CODES.get(error.status_code, "http_error")  # type: ignore[misc] # same


class InternalError(SarasError):
    code, status, title = "internal_error", 500, "Something went wrong on our side"


class ClientGone(SarasError):
    """Nobody is there to read this; it is for the metrics and the logs."""

    code, status, title = "client_gone", 408, "The request did not arrive whole"


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class alone
    return problem_response(HttpProblem(error))


def invalid_input(errors: Any) -> SarasError:
    """`InvalidInput` naming each field of a pydantic error list; what was sent is never repeated."""
    fields = [
        {"field": _field(item), "message": str(item["msg"]).removeprefix("Value error, ")[:200]}
        for item in list(errors)[:100]
    ]
    return InvalidInput(errors=fields)


def _field(error: Mapping[str, Any]) -> str:
    location = error["loc"]
    if error["type"] == "extra_forbidden":
        location = location[:-1]  # the name is what was sent
    elif location[-1:] == ("[key]",):
        location = location[:-2]
    parts = [str(part)[:64] for part in location if part not in ("body", "query", "header", "path")]
    return re.sub(r"[^\w.:\- ]", "?", ".".join(parts)) or "body"


class RequestScope:
    """Outermost: request id, one access-log line, counters, and a plain 500 for what nobody expected."""

    def __init__(self, app: ASGIApp, *, service: str, metrics: Metrics) -> None:
        self._app = app
        self._service = service
        self._requests = metrics.counter(
            "saras_http_requests_total", "Requests by service, method and status class", ("service", "method", "status")
        )
        seconds = metrics.histogram("saras_http_request_seconds", "Time to answer, by service", ("service",))
        self._seconds = seconds.labels(service)
        self._counters: dict[tuple[str, int], Counter] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        reset = request_id_var.set(request_id)
        started = time.perf_counter()
        status = 500
        answered = False

        async def send_with_id(message: Message) -> None:
            nonlocal status, answered
            if message["type"] == "http.response.start":
                status, answered = message["status"], True
                headers = message["headers"]
                if status == NO_CONTENT:
                    headers = [header for header in headers if header[0] != b"content-type"]
                message["headers"] = [*headers, (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except ClientDisconnect:
            await problem_response(ClientGone())(scope, receive, send_with_id)
        except Exception:
            log.exception("request failed", extra={"method": scope["method"], "path": scope["path"]})
            if not answered:
                await problem_response(InternalError())(scope, receive, send_with_id)
        finally:
            self._record(scope, status, time.perf_counter() - started)
            request_id_var.reset(reset)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        if scope["path"] in _OPEN_PATHS:
            return
        kind = (scope["method"], status // 100)
        counter = self._counters.get(kind)
        if counter is None:
            counter = self._counters[kind] = self._requests.labels(self._service, kind[0], f"{kind[1]}xx")
        counter.inc()
        self._seconds.observe(seconds)
        if log.isEnabledFor(logging.DEBUG):
            log.debug("request", extra={"method": scope["method"], "path": scope["path"], "status": status})


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            text = value.decode("latin-1")
            return text if _SANE_REQUEST_ID.match(text) else str(new_id())
    return str(new_id())
